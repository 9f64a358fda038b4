//! The project `flowgate run` is given: the floors' sync, as files.

use super::table::Cell;
use std::path::Path;

/// Writes connections and flow below `dir`.
pub fn write(dir: &Path, base: &str, cell: Cell) -> std::io::Result<()> {
    std::fs::create_dir_all(dir.join("connections"))?;
    std::fs::create_dir_all(dir.join("flows"))?;
    let (level, per_page, batch) = (cell.level, cell.per_page, cell.batch);
    std::fs::write(dir.join("connections/source.toml"), format!("base_uri = \"{base}\"\nconcurrency_level = 1\n"))?;
    std::fs::write(
        dir.join("connections/destination.toml"),
        format!("base_uri = \"{base}\"\nconcurrency_level = {level}\n"),
    )?;
    let flow = format!(
        r#"[export]
connection   = "source"
relative_uri = "/page"
records      = "$.data[*]"

[export.paging]
pages_path = "$.pages"

[export.paging.page]
param      = "page"
size_param = "per_page"
size       = {per_page}

[import]
connection   = "destination"
relative_uri = "/orders"
batch_size   = {batch}

[import.body]
ext_id      = "$.id"
sku         = "$.sku"
full_name   = "{{{{record.first_name}}}} {{{{record.last_name}}}}"
email       = "$.email"
qty         = "$.qty"
total_cents = "= record.qty * record.unit_cents"
state       = "= 'active' if record.status == 'A' else 'inactive'"
city        = "$.address.city"
country     = "$.address.country"
note        = "$.note"
"#
    );
    std::fs::write(dir.join("flows/bench.toml"), flow)
}
