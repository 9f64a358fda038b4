//! Arithmetic. Whole numbers stay exact; everything else is a finite float.

use super::{Call, Function, Outcome, decimal, tidy};
use crate::value::expression::{Math, Value, number};
use crate::value::issue::EvalError;
use crate::value::time;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("abs", "n: number", abs).says("the number without its sign").example(r#"["-123"]"#, "123"),
    Function::new("add", "n: number…", |call| fold(call, Math::Add)).says("the sum").example(r#"["2","5"]"#, "7"),
    Function::new("subtract", "a: number, b: number", |call| two(call, Math::Subtract))
        .says("`a` less `b`")
        .example("[6,3]", "3"),
    Function::new("multiply", "a: number, b: number", |call| two(call, Math::Multiply))
        .says("`a` times `b`")
        .example(r#"[100,"0.9"]"#, "90"),
    Function::new("divide", "a: number, b: number", |call| two(call, Math::Divide))
        .says("`a` divided by `b`; by zero is an error")
        .example(r#"["2002","100"]"#, "20.02"),
    Function::new("modulo", "a: number, b: number", modulo)
        .says("what is left of `a` divided by `b`, with the sign of `a`")
        .example("[7,3]", "1"),
    Function::new("avg", "n: numbers…", avg).says("the mean").example(r#"["2","5","2"]"#, "3"),
    Function::new("sum", "n: numbers…", sum)
        .says("the sum of numbers and of lists of numbers")
        .example("[[2,5,7,8,9]]", "31"),
    Function::new("ceil", "n: number", |call| whole(call, f64::ceil))
        .says("the next whole number up")
        .example(r#"["45.02"]"#, "46"),
    Function::new("floor", "n: number", |call| whole(call, f64::floor))
        .says("the next whole number down")
        .example("[-2.8]", "-3"),
    Function::new("round", "n: number", |call| whole(call, |n| (n + 0.5).floor()))
        .says("the nearest whole number, halves up")
        .example(r#"["29.77"]"#, "30"),
    Function::new("bytes", "v: any, precision?: whole", bytes)
        .says("a number of bytes in units of 1000, with so many decimals at most (2; 0 to 10); of a text its length")
        .example("[1396]", "1.4 kB"),
    Function::new("toFixed", "n: number, digits?: whole", to_fixed)
        .says("text with so many digits behind the point (0 to 100), halves away from zero")
        .example("[29.7777,2]", "29.78"),
    Function::new("toPrecision", "n: number, digits: whole", to_precision)
        .says("text with so many digits in all (1 to 100)")
        .example("[123.00,2]", "1.2e+2"),
    Function::new("toExponential", "n: number, digits?: whole", to_exponential)
        .says("text with one digit before the point and so many behind it")
        .example(r#"["12345",2]"#, "1.23e+4"),
    Function::new("random", "kind: text, length?: whole", random)
        .says("`\"crypto\"`: hexadecimal digits, `\"number\"`: digits, so many (32; at most 1,024), `\"uuid\"`: a version 4 UUID; a number in place of the kind is the length")
        .example(r#"["number",9]"#, "9 digits"),
];

fn abs<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    Ok(match call.number(0)? {
        Value::Int(n) => Value::Int(n.checked_abs().ok_or_else(|| call.too_large())?),
        Value::Float(n) => tidy(n.abs()),
        other => other,
    })
}

fn compute<'a>(call: &Call<'_, 'a>, math: Math, a: &Value<'a>, b: &Value<'a>) -> Outcome<'a> {
    match number::math(math, a, b) {
        Some(Ok(Value::Float(n))) => Ok(tidy(n)),
        Some(Ok(result)) => Ok(result),
        Some(Err(number::NoResult::ByZero)) => Err(call.refused("division by zero")),
        _ => Err(call.too_large()),
    }
}

fn two<'a>(call: &Call<'_, 'a>, math: Math) -> Outcome<'a> {
    compute(call, math, &call.number(0)?, &call.number(1)?)
}

fn fold<'a>(call: &Call<'_, 'a>, math: Math) -> Outcome<'a> {
    let mut total = call.number(0)?;
    for n in 1..call.values.len() {
        total = compute(call, math, &total, &call.number(n)?)?;
    }
    Ok(total)
}

fn modulo<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    match (call.number(0)?, call.number(1)?) {
        (_, Value::Int(0)) => Err(call.refused("division by zero")),
        (Value::Int(a), Value::Int(b)) => Ok(Value::Int(a.checked_rem(b).unwrap_or(0))),
        _ => {
            let rest = call.float(0)? % call.float(1)?;
            if rest.is_finite() { Ok(tidy(rest)) } else { Err(call.refused("division by zero")) }
        }
    }
}

fn numbers<'a>(call: &Call<'_, 'a>) -> Result<Vec<Value<'a>>, EvalError> {
    let mut found = Vec::new();
    for (n, value) in call.values.iter().enumerate() {
        if value.items().is_none() {
            found.push(call.number(n)?);
            continue;
        }
        for item in call.list(n)? {
            let number = call.as_number(&item).ok_or_else(|| call.wrong(n, "lists of numbers", &item))?;
            found.push(number);
        }
    }
    Ok(found)
}

fn sum<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    numbers(call)?.iter().try_fold(Value::Int(0), |total, n| compute(call, Math::Add, &total, n))
}

fn avg<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let all = numbers(call)?;
    let count = i128::try_from(all.len()).unwrap_or(i128::MAX);
    compute(call, Math::Divide, &sum(call)?, &Value::Int(count))
}

fn whole<'a>(call: &Call<'_, 'a>, round: fn(f64) -> f64) -> Outcome<'a> {
    Ok(match call.number(0)? {
        Value::Float(n) => {
            let rounded = round(n);
            number::whole(rounded).map_or(Value::Float(rounded), Value::Int)
        }
        other => other,
    })
}

fn digits(call: &Call<'_, '_>, least: usize) -> Result<usize, EvalError> {
    let digits = call.count(1)?;
    if (least..=100).contains(&digits) {
        return Ok(digits);
    }
    Err(call.refused(&format!("{digits} is outside {least} to 100 digits")))
}

/// Bytes as people write them.
fn bytes<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    const UNITS: [&str; 8] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB"];
    let value = call.value(0);
    let count = match (call.as_number(&value), value.type_name()) {
        (Some(number), _) => number::as_float(&number).unwrap_or(0.0),
        (None, "text") => f64::from(u32::try_from(call.text(0)?.chars().count()).unwrap_or(u32::MAX)),
        (None, _) => return Err(call.wrong(0, "a number or text", &value)),
    };
    let decimals = if call.given(1) { call.count(1)?.min(10) } else { 2 };
    let (mut size, mut unit) = (count, 0);
    // One less than a thousand is a thousand already, as in the reference.
    let mut next = 1000.0;
    while count + 1.0 >= next && unit + 1 < UNITS.len() {
        size /= 1000.0;
        next *= 1000.0;
        unit += 1;
    }
    let written = format!("{size:.decimals$}");
    let short = if written.contains('.') { written.trim_end_matches('0').trim_end_matches('.') } else { &written };
    call.made(format!("{short} {}", UNITS.get(unit).copied().unwrap_or_default()))
}

fn to_fixed<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let digits = if call.given(1) { digits(call, 0)? } else { 0 };
    let n = call.float(0)?;
    call.made(if n.abs() < 1e21 { decimal::fixed(n, digits) } else { decimal::shown(n) })
}

fn to_precision<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    call.made(decimal::precision(call.float(0)?, digits(call, 1)?))
}

fn to_exponential<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let digits = if call.given(1) { Some(digits(call, 0)?) } else { None };
    call.made(decimal::exponential(call.float(0)?, digits))
}

fn random<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let kind = call.text(0)?;
    let (kind, length) = match call.number(0) {
        Ok(_) => ("crypto", call.count(0)?),
        Err(_) if call.given(1) => (&*kind, call.count(1)?),
        Err(_) => (&*kind, 32),
    };
    if !(1..=1024).contains(&length) {
        return Err(call.refused(&format!("{length} is outside 1 to 1024 characters")));
    }
    let chance = || time::unguessable().ok_or_else(|| call.refused("the system has no chance to give"));
    let mut out = String::with_capacity(length);
    match kind {
        "uuid" => {
            let mut bytes = chance()?;
            bytes[6] = bytes[6] & 0x0f | 0x40;
            bytes[8] = bytes[8] & 0x3f | 0x80;
            let hex: String = super::encode::hex(&bytes);
            out = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        }
        "crypto" => {
            while out.len() < length {
                out.push_str(&super::encode::hex(&chance()?));
            }
            out.truncate(length);
        }
        "number" => {
            while out.len() < length {
                // Bytes from 250 on would favour some digits.
                out.extend(chance()?.iter().filter(|b| **b < 250).map(|b| char::from(b'0' + b % 10)));
            }
            out.truncate(length);
        }
        _ => return Err(call.refused("the kind is `crypto`, `uuid` or `number`")),
    }
    call.made(out)
}
