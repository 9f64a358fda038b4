//! Arithmetic: whole numbers exact in 128 bits, all other numbers as finite 64-bit floats. Nothing wraps, nothing
//! becomes infinite; what does not fit is an error.

use super::ast::Math;
use super::value::Value;

/// Why an operation has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::value) enum NoResult {
    /// Division or remainder by zero.
    ByZero,
    /// Too large, or not a number.
    OutOfRange,
}

/// A JSON number as a value; none when it fits neither kind.
#[inline]
pub(in crate::value) fn parse(text: &str) -> Option<Value<'static>> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() <= 18 && digits.bytes().all(|b| b.is_ascii_digit()) {
        let n = digits.bytes().fold(0_i64, |n, b| n * 10 + i64::from(b - b'0'));
        return Some(Value::Int(i128::from(if digits.len() < text.len() { -n } else { n })));
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse::<i128>().ok().map(Value::Int);
    }
    float(text).map(Value::Float)
}

/// Decimal text as a finite float.
pub(in crate::value) fn float(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|n| n.is_finite())
}

/// One operation on two numbers; none when either is no number.
pub(in crate::value) fn math(
    math: Math,
    left: &Value<'_>,
    right: &Value<'_>,
) -> Option<Result<Value<'static>, NoResult>> {
    let result = match (left, right) {
        (Value::Int(a), Value::Int(b)) => ints(math, *a, *b),
        _ => floats(math, as_float(left)?, as_float(right)?),
    };
    Some(result)
}

/// The value as a float; whole numbers beyond 2^53 are rounded.
#[expect(clippy::cast_precision_loss, reason = "mixed arithmetic is float arithmetic")]
pub(in crate::value) fn as_float(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Int(n) => Some(*n as f64),
        Value::Float(n) => Some(*n),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "division and negative powers give floats")]
fn ints(math: Math, a: i128, b: i128) -> Result<Value<'static>, NoResult> {
    let exact = match math {
        Math::Add => a.checked_add(b),
        Math::Subtract => a.checked_sub(b),
        Math::Multiply => a.checked_mul(b),
        Math::Power if b >= 0 => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
        Math::Divide | Math::Power => return floats(math, a as f64, b as f64),
        Math::FloorDivide | Math::Remainder if b == 0 => return Err(NoResult::ByZero),
        Math::FloorDivide => floor(a, b).map(|(quotient, _)| quotient),
        Math::Remainder => floor(a, b).map(|(_, remainder)| remainder),
    };
    exact.map(Value::Int).ok_or(NoResult::OutOfRange)
}

/// Floor division with a remainder of the divisor's sign.
fn floor(a: i128, b: i128) -> Option<(i128, i128)> {
    let (quotient, remainder) = (a.checked_div(b)?, a.checked_rem(b)?);
    if remainder != 0 && (remainder < 0) != (b < 0) {
        return Some((quotient.checked_sub(1)?, remainder.checked_add(b)?));
    }
    Some((quotient, remainder))
}

fn floats(math: Math, a: f64, b: f64) -> Result<Value<'static>, NoResult> {
    let zero_divisor = b == 0.0 && matches!(math, Math::Divide | Math::FloorDivide | Math::Remainder);
    if zero_divisor || (a == 0.0 && b < 0.0 && math == Math::Power) {
        return Err(NoResult::ByZero);
    }
    let result = match math {
        Math::Add => a + b,
        Math::Subtract => a - b,
        Math::Multiply => a * b,
        Math::Divide => a / b,
        Math::Power => a.powf(b),
        Math::FloorDivide => floor_floats(a, b).0,
        Math::Remainder => floor_floats(a, b).1,
    };
    if result.is_finite() { Ok(Value::Float(result)) } else { Err(NoResult::OutOfRange) }
}

/// As for whole numbers; the quotient is corrected where `a - remainder` was rounded.
fn floor_floats(a: f64, b: f64) -> (f64, f64) {
    let mut remainder = a % b;
    let mut quotient = (a - remainder) / b;
    if remainder == 0.0 {
        remainder = 0.0_f64.copysign(b);
    } else if (remainder < 0.0) != (b < 0.0) {
        remainder += b;
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return (0.0_f64.copysign(a / b), remainder);
    }
    let floored = quotient.floor();
    (if quotient - floored > 0.5 { floored + 1.0 } else { floored }, remainder)
}

/// `x` as a whole number, its fraction cut off; none beyond 128 bits.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
pub(in crate::value) fn whole(x: f64) -> Option<i128> {
    (x.abs() < 1.7e38).then_some(x as i128)
}

/// Whether a whole number and a float are the same number, exactly.
#[expect(clippy::cast_precision_loss, reason = "compared both ways, so no rounding goes unseen")]
#[expect(clippy::float_cmp, reason = "exact equality is meant")]
pub(in crate::value) fn same(int: i128, float: f64) -> bool {
    int as f64 == float && whole(float) == Some(int)
}
