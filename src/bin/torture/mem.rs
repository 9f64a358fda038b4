//! A large export through a small memory limit: a control group's where they can be set, else the peak is sampled.

use crate::args;
use crate::child::{End, Launch};
use crate::figures::Figures;
use crate::rig::{Rig, millis};
use crate::stage::{ORDER_BODY, Stage};
use flowgate::playground::{Playground, Settings, Verify};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of a record.
const RECORD: u64 = 2_000;
/// Slower than this is stuck, per megabyte.
const PER_MEGABYTE: Duration = Duration::from_secs(2);

/// `torture mem`
pub fn torture(rig: &Rig, asked: &args::Mem, figures: &mut Figures) -> io::Result<()> {
    let records = (asked.megabytes << 20) / RECORD;
    let record_size = usize::try_from(RECORD).unwrap_or_default();
    let settings = Settings { records, record_size, verify: Verify::Some, limit: Some(4), ..Settings::default() };
    let playground = Playground::start(settings)?;
    let mut stage = Stage::new(rig, "")?;
    write(&stage, &playground.base_uri())?;
    let group = Group::of(asked.limit << 20);
    let mut launch = Launch::default();
    match &group {
        Ok(group) => launch.before = group.words(),
        Err(why) => figures.lacks(format!("a memory control group ({why}): the peak is sampled instead")),
    }
    let mut child = launch.start(rig, &stage, &["run", "copy"])?;
    let patience = PER_MEGABYTE * u32::try_from(asked.megabytes.max(60)).unwrap_or(u32::MAX);
    let mut peak = 0;
    let end = rig.wait(patience, || {
        rig.pause(Duration::from_millis(20));
        peak = peak.max(child.memory("VmRSS").unwrap_or(0));
        child.end()
    });
    let took = rig.since(child.started);
    child.kill();
    let seen = playground.stop();
    let orders = seen.destination("orders").records;
    let anonymous = group.as_ref().ok().and_then(Group::peak);
    figures.set("megabytes", asked.megabytes).set("limit_mib", asked.limit).set("took_ms", millis(took));
    figures.set("peak_rss_kib", peak).set("group_peak_kib", anonymous.map(|bytes| bytes >> 10));
    figures.set("records", orders.once).set("lost", orders.missing).set("twice", orders.duplicates);
    figures.demand(end == Some(End::Code(0)), || format!("it ended with {end:?}: {}", child.last_words()));
    figures.demand(orders.is_exactly_once(), || format!("not each record once: {orders:?}"));
    figures.demand(seen.over_limit == 0, || format!("{} requests above the level", seen.over_limit));
    if group.is_err() {
        figures.demand(peak <= asked.limit << 10, || format!("{peak} KiB at the most"));
    }
    if !figures.passed() {
        stage.broke();
    }
    Ok(())
}

fn write(stage: &Stage, base: &str) -> io::Result<()> {
    stage.write("connections/shop.toml", &format!("base_uri = \"{base}\"\n"))?;
    stage.write("connections/erp.toml", &format!("base_uri = \"{base}\"\nconcurrency_level = 4\n"))?;
    let flow = format!(
        "[export]\nconnection = \"shop\"\nrelative_uri = \"/page\"\nrecords = \"$.data[*]\"\n\n\
         [export.paging]\npages_path = \"$.pages\"\n\n\
         [export.paging.page]\nparam = \"page\"\nsize_param = \"per_page\"\nsize = 500\n\n\
         [import]\nconnection = \"erp\"\nrelative_uri = \"/orders\"\nbatch_size = 50\n\
         idempotency_key = \"{{{{record.id}}}}\"\n{ORDER_BODY}"
    );
    stage.write("flows/copy.toml", &flow)
}

/// A control group with a memory limit; removed at the end.
struct Group {
    path: PathBuf,
    peak: &'static str,
}

impl Group {
    /// Version 2 where it has the controller, else version 1.
    fn of(limit: u64) -> io::Result<Self> {
        let root = Path::new("/sys/fs/cgroup");
        let name = format!("flowgate-torture-{}", std::process::id());
        let controllers = std::fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
        let is_second = controllers.split_whitespace().any(|controller| controller == "memory");
        let (path, keys, peak) = if is_second {
            (root.join(name), ["memory.max", "memory.swap.max"], "memory.peak")
        } else {
            let keys = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"];
            (root.join("memory").join(name), keys, "memory.max_usage_in_bytes")
        };
        std::fs::create_dir(&path)?;
        let group = Self { path, peak };
        std::fs::write(group.path.join(keys[0]), limit.to_string())?;
        // Not there where swap is not counted.
        let _ = std::fs::write(group.path.join(keys[1]), limit.to_string());
        Ok(group)
    }

    /// A shell that enters the group and becomes what follows.
    fn words(&self) -> Vec<std::ffi::OsString> {
        let script = "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"";
        ["sh", "-c", script].map(Into::into).into_iter().chain([self.path.clone().into()]).collect()
    }

    fn peak(&self) -> Option<u64> {
        std::fs::read_to_string(self.path.join(self.peak)).ok()?.trim().parse().ok()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Empty by now: its only process has been waited for.
        let _ = std::fs::remove_dir(&self.path);
    }
}
