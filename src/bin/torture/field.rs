//! A running `serve` with traffic on it, whose whole configuration is exchanged in one step again and again: what
//! `reload` and `soak` share.
//!
//! Folders are links behind one link that is renamed, as config maps do it, so that every edit is atomic and a request
//! that shows two revisions is a fault of the program.

use crate::child::{self, Child};
use crate::rig::Rig;
use crate::stage::{ORDER_BODY, Stage};
use flowgate::playground::{Effect, Playground, Settings, Watched};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::os::unix::fs::symlink;
use std::time::Duration;

/// The most requests at once any valid revision allows.
const MOST: u64 = 4;
/// The level of revisions that must never come into force.
const NEVER: u64 = 16;
/// A request may have been on its way when a level came into force.
const ON_ITS_WAY: Duration = Duration::from_millis(150);

/// The field.
pub struct Field<'a> {
    pub rig: &'a Rig,
    pub stage: Stage,
    pub playground: Playground,
    pub chance: fastrand::Rng,
    revision: u64,
    level: u64,
    extras: BTreeSet<u8>,
    levels: Vec<Level>,
    /// Edits made: valid ones, and ones that must be rejected.
    pub valid: u64,
    pub invalid: u64,
}

/// A level that was written, and by when it was known to be in force.
#[derive(Debug, Clone, Copy)]
struct Level {
    from: Duration,
    most: u64,
    in_force: Option<Duration>,
}

/// What the ledger says at the end.
#[derive(Debug, Default)]
pub struct Verdict {
    pub records: u64,
    pub lost: u64,
    pub twice: u64,
    pub excess: u64,
    pub halves: u64,
    pub mixed_runs: u64,
    pub never_valid: u64,
    pub runs: u64,
}

impl<'a> Field<'a> {
    /// Writes the first revision.
    pub fn new(rig: &'a Rig, settings: Settings) -> io::Result<Self> {
        let playground = Playground::start(Settings { watch: true, records: 100, fresh: 100, ..settings })?;
        let stage = Stage::new(rig, "[log]\nlevel = \"warn\"\n")?;
        let chance = fastrand::Rng::with_seed(rig.seed);
        let (extras, levels) = (BTreeSet::new(), Vec::new());
        let mut field =
            Self { rig, stage, playground, chance, revision: 0, level: 2, extras, levels, valid: 0, invalid: 0 };
        for folder in ["connections", "flows"] {
            symlink(format!("..data/{folder}"), field.stage.path(folder))?;
        }
        field.write(None)?;
        Ok(field)
    }

    /// Starts `serve` and waits until it answers.
    pub fn serve(&self) -> io::Result<Child> {
        let mut child = child::start(self.rig, &self.stage, &["serve"])?;
        let up = self.rig.wait(crate::rig::PATIENCE, || {
            child.end().map(|_| false).or_else(|| crate::conserve::get(self.stage.listen, "/healthz").map(|_| true))
        });
        if up == Some(true) {
            Ok(child)
        } else {
            Err(io::Error::other(format!("serve did not start: {}", child.last_words())))
        }
    }

    /// One drawn edit; true when it must be applied, false when it must be rejected.
    pub fn edit(&mut self) -> io::Result<bool> {
        let broken = match self.chance.u8(0..10) {
            0 => Some("this is no TOML"),
            1 => Some("concurency_level = 3"),
            2 => Some("[auth.basic]\nusername = \"a\"\npassword = \"written down\""),
            3..=5 => {
                self.level = self.chance.u64(1..=MOST);
                None
            }
            6 | 7 => {
                let extra = self.chance.u8(0..3);
                if !self.extras.remove(&extra) {
                    self.extras.insert(extra);
                }
                None
            }
            _ => None,
        };
        self.write(broken)?;
        Ok(broken.is_none())
    }

    /// A flow that does nothing and is there in the last revision only, and in none of the fifteen before. Names come
    /// again: what ever new ones leave behind is another matter than what edits do.
    pub fn marker(&self) -> String {
        format!("revision-{}", self.revision % 16)
    }

    /// What was written last is in force.
    pub fn is_in_force(&mut self) {
        let now = self.playground.now();
        for level in &mut self.levels {
            level.in_force.get_or_insert(now);
        }
    }

    fn write(&mut self, broken: Option<&str>) -> io::Result<()> {
        self.revision += 1;
        let revision = self.revision;
        let (level, mark) = match broken {
            Some(_) => (NEVER, format!("never-{revision}")),
            None => (self.level, format!("{revision}")),
        };
        let tree = format!("..rev-{revision}");
        let base = self.playground.base_uri();
        self.stage.write(&format!("{tree}/connections/shop.toml"), &format!("base_uri = \"{base}\"\n"))?;
        let erp = format!(
            "base_uri = \"{base}\"\nconcurrency_level = {level}\nheaders = {{ X-Mark-Connection = \"{mark}\" }}\n{}\n\
             [retry]\nbackoff = {{ initial = \"20ms\", max = \"200ms\" }}\n",
            broken.unwrap_or_default()
        );
        self.stage.write(&format!("{tree}/connections/erp.toml"), &erp)?;
        self.stage.write(&format!("{tree}/flows/orders.toml"), &flow("/shop/orders", "/orders", &mark, ORDER_BODY))?;
        let marker = flow("/page", "/sink/never", &mark, ORDER_BODY).replace("schedule", "enabled = false\nschedule");
        self.stage.write(&format!("{tree}/flows/{}.toml", self.marker()), &marker)?;
        for extra in &self.extras {
            let text = flow("/page", "/sink/extra", &mark, ORDER_BODY);
            self.stage.write(&format!("{tree}/flows/extra-{extra}.toml"), &text)?;
        }
        let at = self.playground.now();
        let beside = self.stage.path("..data-new");
        symlink(&tree, &beside)?;
        std::fs::rename(&beside, self.stage.path("..data"))?;
        if broken.is_none() {
            self.levels.push(Level { from: at, most: level, in_force: None });
            self.valid += 1;
        } else {
            self.invalid += 1;
        }
        if revision > 8 {
            std::fs::remove_dir_all(self.stage.path(&format!("..rev-{}", revision - 8)))?;
        }
        Ok(())
    }

    /// Everything shown to flow `orders` so far.
    pub fn shown(&self) -> BTreeSet<u64> {
        let orders = |watched: &Watched| watched.pages.iter().flat_map(|page| page.ids.iter().copied()).collect();
        orders(&self.playground.watched())
    }

    /// Judges; `shown` are the records that must have arrived. After `ended` an interrupted run goes on by its stored
    /// flow and the connections of the day: two revisions are right then.
    pub fn verdict(&self, shown: &BTreeSet<u64>, ended: Duration) -> Verdict {
        let watched = self.playground.watched();
        let names: Vec<String> = self.playground.ledger().destinations.into_iter().map(|d| d.name).collect();
        let mut verdict = Verdict { records: shown.len() as u64, ..Verdict::default() };
        let mut taken = BTreeSet::new();
        let mut runs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for write in &watched.writes {
            verdict.excess += u64::from(write.in_flight > allowed(&self.levels, write.at));
            let mark = |name: &str| write.marks.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value.as_str());
            let (connection, flow) = (mark("connection"), mark("flow"));
            verdict.halves += u64::from(write.at < ended && !write.marks.is_empty() && connection != flow);
            verdict.never_valid += u64::from(flow.starts_with("never") || connection.starts_with("never"));
            if !write.marks.is_empty() {
                runs.entry(mark("run")).or_default().insert(flow);
            }
            if write.effect == Effect::Taken && names.get(write.destination).is_some_and(|name| name == "orders") {
                verdict.twice += write.ids.iter().filter(|id| !taken.insert(**id)).count() as u64;
            }
        }
        verdict.lost = shown.iter().filter(|id| !taken.contains(id)).count() as u64;
        verdict.mixed_runs = runs.values().filter(|revisions| revisions.len() > 1).count() as u64;
        verdict.runs = runs.len() as u64;
        verdict
    }
}

fn flow(from: &str, to: &str, mark: &str, body: &str) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "schedule = \"* * * * * *\"\n\n[export]\nconnection = \"shop\"\nrelative_uri = \"{from}\"\nrecords = \"$.data[*]\"\n\n\
         [export.paging]\npages_path = \"$.pages\"\n\n\
         [export.paging.page]\nparam = \"page\"\nsize_param = \"per_page\"\nsize = 20\n\n\
         [import]\nconnection = \"erp\"\nrelative_uri = \"{to}\"\nidempotency_key = \"{{{{record.id}}}}-{{{{record.sku}}}}\"\n\
         headers = {{ X-Mark-Flow = \"{mark}\", X-Mark-Run = \"{{{{run.id}}}}\" }}\n{body}"
    );
    text
}

/// The level that may hold at an instant: the greatest of all that may be in force then.
fn allowed(levels: &[Level], at: Duration) -> u64 {
    let until = |number: usize| levels.get(number + 1..).unwrap_or_default().iter().find_map(|level| level.in_force);
    let may_hold = |(number, level): (usize, &Level)| {
        let over = until(number).is_some_and(|end| at > end + ON_ITS_WAY);
        (level.from <= at && !over).then_some(level.most)
    };
    levels.iter().enumerate().filter_map(may_hold).max().unwrap_or(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_level_binds_once_it_is_known_to_be_in_force() {
        let second = Duration::from_secs;
        let level =
            |from, most, in_force: Option<u64>| Level { from: second(from), most, in_force: in_force.map(second) };
        let levels = [level(0, 4, Some(1)), level(10, 1, None), level(20, 2, Some(21))];
        assert_eq!(allowed(&levels, second(9)), 4);
        assert_eq!(allowed(&levels, second(11)), 4, "nobody knows yet");
        assert_eq!(allowed(&levels, second(21)), 4, "some may be on their way");
        assert_eq!(allowed(&levels, second(22)), 2);
    }
}
