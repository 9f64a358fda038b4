//! As much of PromQL as it takes to see which metrics and labels an expression names. Whether it is valid is promtool's
//! business.

/// What an expression names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Named {
    pub series: Vec<Series>,
    /// Labels after `by`, `without`, `on`, `ignoring`, `group_left`, `group_right`.
    pub grouped: Vec<String>,
    /// Those of them that are left after an aggregation.
    pub kept: Vec<String>,
}

/// A metric and how it is narrowed down: label, operator, value.
#[derive(Debug, PartialEq, Eq)]
pub struct Series {
    pub name: String,
    pub matchers: Vec<(String, String, String)>,
}

const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const WORDS: [&str; 7] = ["and", "or", "unless", "offset", "bool", "inf", "nan"];
const AGGREGATIONS: [&str; 8] = ["sum", "min", "max", "avg", "count", "topk", "bottomk", "quantile"];

/// Reads an expression.
pub fn read(expr: &str) -> Named {
    let mut reader = Reader { rest: expr };
    let mut named = Named::default();
    while let Some(next) = reader.rest.chars().next() {
        match next {
            '"' | '\'' => drop(reader.quoted(next)),
            '[' => reader.skip_to(']'),
            '{' => panic!("labels without a metric: {expr}"),
            '0'..='9' => drop(reader.word()),
            'a'..='z' | 'A'..='Z' | '_' | ':' => reader.name(&mut named),
            _ => reader.rest = &reader.rest[next.len_utf8()..],
        }
    }
    named
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn word(&mut self) -> &'t str {
        let end =
            self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_:.".contains(c))).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn name(&mut self, named: &mut Named) {
        let word = self.word();
        let after = self.rest.trim_start();
        if GROUPING.contains(&word) {
            if let Some(list) = after.strip_prefix('(') {
                let (list, rest) = list.split_once(')').unwrap();
                let labels: Vec<String> =
                    list.split(',').map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()).collect();
                if word == "by" {
                    named.kept.extend(labels.clone());
                }
                named.grouped.extend(labels);
                self.rest = rest;
            }
        } else if let Some(labels) = after.strip_prefix('{') {
            self.rest = labels;
            let matchers = self.matchers();
            named.series.push(Series { name: word.to_owned(), matchers });
        } else if !(after.starts_with('(') || WORDS.contains(&word) || AGGREGATIONS.contains(&word)) {
            named.series.push(Series { name: word.to_owned(), matchers: Vec::new() });
        }
    }

    fn matchers(&mut self) -> Vec<(String, String, String)> {
        let mut matchers = Vec::new();
        loop {
            self.rest = self.rest.trim_start_matches([' ', ',', '\n']);
            if let Some(rest) = self.rest.strip_prefix('}') {
                self.rest = rest;
                return matchers;
            }
            let label = self.word();
            let begin = self.rest.find(['"', '\'']).unwrap();
            let operator = self.rest[..begin].trim();
            self.rest = &self.rest[begin..];
            let quote = self.rest.chars().next().unwrap();
            matchers.push((label.to_owned(), operator.to_owned(), self.quoted(quote)));
        }
    }

    fn quoted(&mut self, quote: char) -> String {
        let text = &self.rest[1..];
        let mut escaped = false;
        let end = text.find(|c| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let (inside, rest) = text.split_at(end.unwrap());
        self.rest = &rest[1..];
        inside.to_owned()
    }

    fn skip_to(&mut self, end: char) {
        self.rest = self.rest.split_once(end).unwrap().1;
    }
}

#[test]
fn metrics_matchers_and_groupings_are_found_and_nothing_else() {
    let named = read(
        "histogram_quantile(0.95, sum by (job, le) (rate(a_bucket{x=\"1\", y=~'p|q'}[5m]))) * on (job) group_left (v)\n\
         max(b:c:d5m) without (z) > 1e3 and (time() - d offset 5m) unless label_replace(e, \"n\", \"$1\", \"o\", \"(.*)\")",
    );
    let names: Vec<&str> = named.series.iter().map(|series| series.name.as_str()).collect();
    assert_eq!(names, ["a_bucket", "b:c:d5m", "d", "e"]);
    let matcher = |label: &str, operator: &str, value: &str| (label.to_owned(), operator.to_owned(), value.to_owned());
    assert_eq!(named.series[0].matchers, [matcher("x", "=", "1"), matcher("y", "=~", "p|q")]);
    assert_eq!(named.grouped, ["job", "le", "job", "v", "z"]);
    assert_eq!(named.kept, ["job", "le"]);
}
