//! Decimal digits of floats: as JavaScript prints and rounds them, exact halves away from zero.

/// The exact digits of a float: `0.d1d2d3… × 10^point`, without zeros in front or behind.
struct Digits {
    negative: bool,
    all: Vec<u8>,
    point: i32,
}

impl Digits {
    /// Every double ends within 1,075 decimals.
    fn exact(n: f64) -> Self {
        Self::read(&format!("{:.1075}", n.abs()), n < 0.0)
    }

    fn read(text: &str, negative: bool) -> Self {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
        let zeros = all.iter().take_while(|d| **d == 0).count();
        let end = all.len() - all.iter().rev().take_while(|d| **d == 0).count();
        let digits = if zeros < end { all[zeros..end].to_vec() } else { Vec::new() };
        let point = i32::try_from(whole.len()).unwrap_or(0) - i32::try_from(zeros).unwrap_or(0);
        Self { negative, point: if digits.is_empty() { 1 } else { point }, all: digits }
    }

    /// Keeps so many digits (perhaps none, perhaps fewer than none), halves up.
    fn round(&mut self, keep: i32) {
        let Ok(keep) = usize::try_from(keep) else {
            self.all.clear();
            return;
        };
        if keep >= self.all.len() {
            return;
        }
        let up = self.all[keep] >= 5;
        self.all.truncate(keep);
        if !up {
            return;
        }
        for digit in self.all.iter_mut().rev() {
            if *digit < 9 {
                *digit += 1;
                return;
            }
            *digit = 0;
        }
        self.all.insert(0, 1);
        self.point += 1;
    }

    fn digit(&self, n: i32) -> char {
        let digit = usize::try_from(n).ok().and_then(|n| self.all.get(n)).copied().unwrap_or(0);
        char::from(b'0' + digit)
    }

    fn sign(&self) -> &'static str {
        if self.negative && self.all.iter().any(|d| *d != 0) { "-" } else { "" }
    }
}

/// So many digits behind the point.
pub(super) fn fixed(n: f64, decimals: usize) -> String {
    let mut d = Digits::exact(n);
    let decimals = i32::try_from(decimals).unwrap_or(0);
    d.round(d.point + decimals);
    let mut out = d.sign().to_owned();
    out.extend((0..d.point).map(|at| d.digit(at)));
    if d.point <= 0 {
        out.push('0');
    }
    if decimals > 0 {
        out.push('.');
        out.extend((d.point..d.point + decimals).map(|at| d.digit(at)));
    }
    out
}

/// One digit, so many behind the point, and a power of ten.
pub(super) fn exponential(n: f64, decimals: Option<usize>) -> String {
    let (mut d, decimals) = if let Some(decimals) = decimals {
        (Digits::exact(n), i32::try_from(decimals).unwrap_or(0))
    } else {
        let d = Digits::read(&format!("{}", n.abs()), n < 0.0);
        let decimals = i32::try_from(d.all.len()).unwrap_or(1).max(1) - 1;
        (d, decimals)
    };
    d.round(decimals + 1);
    let exponent = if d.all.is_empty() { 0 } else { d.point - 1 };
    format!("{}{}", mantissa(&d, decimals), power(exponent))
}

/// So many digits in all.
pub(super) fn precision(n: f64, digits: usize) -> String {
    let digits = i32::try_from(digits).unwrap_or(1);
    let mut d = Digits::exact(n);
    d.round(digits);
    let exponent = if d.all.is_empty() { 0 } else { d.point - 1 };
    if exponent < -6 || exponent >= digits {
        return format!("{}{}", mantissa(&d, digits - 1), power(exponent));
    }
    fixed(n, usize::try_from(digits - 1 - exponent).unwrap_or(0))
}

fn mantissa(d: &Digits, decimals: i32) -> String {
    let mut out = format!("{}{}", d.sign(), d.digit(0));
    if decimals > 0 {
        out.push('.');
        out.extend((1..=decimals).map(|at| d.digit(at)));
    }
    out
}

fn power(exponent: i32) -> String {
    format!("e{}{}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// As JavaScript writes a number: shortest digits, no exponent between 1e-6 and 1e21.
pub(in crate::value) fn shown(n: f64) -> String {
    if n == 0.0 {
        return "0".to_owned();
    }
    if (1e-6..1e21).contains(&n.abs()) { format!("{n}") } else { exponential(n, None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_rounded_as_javascript_does() {
        for (n, decimals, wanted) in [
            (29.7777, 2, "29.78"),
            (1.005, 2, "1.00"),
            (2.5, 0, "3"),
            (-2.5, 0, "-3"),
            (0.5, 0, "1"),
            (0.4, 0, "0"),
            (-0.4, 0, "0"),
            (0.05, 1, "0.1"),
            (0.000_123, 5, "0.00012"),
            (999.95, 1, "1000.0"),
            (9.999, 2, "10.00"),
            (0.0, 2, "0.00"),
            (1e20, 1, "100000000000000000000.0"),
        ] {
            assert_eq!(fixed(n, decimals), wanted, "{n} {decimals}");
        }
        assert_eq!(precision(123.0, 2), "1.2e+2");
        assert_eq!(precision(123.456, 4), "123.5");
        assert_eq!(precision(0.000_012, 3), "0.0000120");
        assert_eq!(precision(0.000_000_12, 3), "1.20e-7");
        assert_eq!(exponential(12345.0, Some(2)), "1.23e+4");
        assert_eq!(exponential(0.0, Some(1)), "0.0e+0");
        assert_eq!(exponential(12345.0, None), "1.2345e+4");
    }

    #[test]
    fn numbers_print_as_javascript_prints_them() {
        for (n, wanted) in [
            (0.1 + 0.2, "0.30000000000000004"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-7"),
            (0.000_001, "0.000001"),
            (123_456_789_012.5, "123456789012.5"),
            (-0.0, "0"),
        ] {
            assert_eq!(shown(n), wanted);
        }
    }
}
