//! The counting equation, looked at every 100 ms: `exported = delivered + filtered + failed + in flight`, for each flow
//! at every scrape.

use crate::rig::Rig;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(100);

/// What was seen.
#[derive(Debug, Default, Clone)]
pub struct Balance {
    /// Scrapes that answered.
    pub samples: u64,
    /// Flows whose counts did not balance at a scrape.
    pub violations: u64,
    /// The first of them.
    pub first: Option<String>,
}

impl Balance {
    /// Adds another account.
    pub fn add(&mut self, other: &Self) {
        self.samples += other.samples;
        self.violations += other.violations;
        self.first = self.first.take().or_else(|| other.first.clone());
    }
}

/// Scrapes while `during` goes on.
pub fn while_doing<T>(rig: &Rig, listen: SocketAddr, during: impl FnOnce() -> T) -> (T, Balance) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let scraping = scope.spawn(|| {
            let mut balance = Balance::default();
            while !done.load(Ordering::Relaxed) {
                if let Some(page) = get(listen, "/metrics") {
                    look(&page, &mut balance);
                }
                rig.pause(EVERY);
            }
            balance
        });
        let result = during();
        done.store(true, Ordering::Relaxed);
        (result, scraping.join().unwrap_or_default())
    })
}

/// The body of a GET, or none when nobody answers with 200.
pub fn get(listen: SocketAddr, path: &str) -> Option<String> {
    let (status, body) = ask(listen, path)?;
    (status == 200).then_some(body)
}

/// Status and body of a GET.
pub fn ask(listen: SocketAddr, path: &str) -> Option<(u16, String)> {
    let soon = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&listen, soon).ok()?;
    stream.set_read_timeout(Some(soon)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {listen}\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_owned()))
}

/// One series with exactly these labels.
pub fn sample(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.trim().parse().ok())
}

fn look(page: &str, balance: &mut Balance) {
    balance.samples += 1;
    let mut flows: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for line in page.lines() {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let Ok(value) = value.parse::<f64>() else { continue };
        let Some((name, labels)) = series.split_once('{') else { continue };
        let Some(flow) = label(labels, "flow") else { continue };
        let sums = flows.entry(flow).or_default();
        match (name, label(labels, "outcome")) {
            ("flowgate_flow_records_total", Some("exported")) => sums.0 += value,
            ("flowgate_flow_records_total", Some(_)) | ("flowgate_flow_records_in_flight", _) => sums.1 += value,
            _ => {}
        }
    }
    for (flow, (exported, others)) in flows {
        if (exported - others).abs() > 0.5 {
            balance.violations += 1;
            balance.first.get_or_insert_with(|| format!("{flow}: {exported} exported, {others} accounted for"));
        }
    }
}

fn label<'l>(labels: &'l str, name: &str) -> Option<&'l str> {
    let begin = labels.find(&format!("{name}=\""))? + name.len() + 2;
    labels[begin..].split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(delivered: u64) -> String {
        format!(
            "# HELP x y\nflowgate_flow_records_total{{flow=\"a\",outcome=\"exported\"}} 10\n\
             flowgate_flow_records_total{{flow=\"a\",outcome=\"delivered\"}} {delivered}\n\
             flowgate_flow_records_total{{flow=\"a\",outcome=\"filtered\"}} 2\n\
             flowgate_flow_records_total{{flow=\"a\",outcome=\"failed\"}} 0\n\
             flowgate_flow_records_in_flight{{flow=\"a\"}} 1\n"
        )
    }

    #[test]
    fn a_scrape_that_does_not_balance_is_noted_with_its_flow() {
        let mut balance = Balance::default();
        look(&page(7), &mut balance);
        assert_eq!((balance.samples, balance.violations), (1, 0));
        look(&page(6), &mut balance);
        assert_eq!((balance.samples, balance.violations), (2, 1));
        assert_eq!(balance.first.as_deref(), Some("a: 10 exported, 9 accounted for"));
        assert_eq!(sample(&page(6), "flowgate_flow_records_in_flight{flow=\"a\"}"), Some(1.0));
    }
}
