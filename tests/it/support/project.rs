//! A project in a directory of its own, gone with the test.

use std::path::{Path, PathBuf};

/// The mapping the playground's destinations demand of an order.
pub const ORDER_BODY: &str = r#"
[import.body]
ext_id      = "$.id"
sku         = "$.sku"
full_name   = "{{record.first_name}} {{record.last_name}}"
email       = "$.email"
qty         = "$.qty"
total_cents = "= record.qty * record.unit_cents"
state       = "= 'active' if record.status == 'A' else 'inactive'"
city        = "$.address.city"
country     = "$.address.country"
note        = "$.note"
"#;

/// Files below a temporary directory.
pub struct Project {
    dir: tempfile::TempDir,
}

impl Project {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file whole, with the folders it needs.
    pub fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// `flowgate.toml`: a free port for `serve`, and these further tables.
    pub fn settings(&self, tables: &str) -> &Self {
        self.write("flowgate.toml", &format!("[server]\nlisten = \"127.0.0.1:0\"\n{tables}\n"))
    }

    /// `flows/<id>.toml`: the records of `GET /records` on connection `api`, sent one by one to `POST /taken` on it;
    /// `head` stands above the tables, `import` in `[import]` and below it.
    pub fn copy_flow(&self, id: &str, head: &str, import: &str) -> &Self {
        self.write(&format!("flows/{id}.toml"), &copy_flow(head, import))
    }

    /// `connections/<id>.toml` with this base and these further keys.
    pub fn connection(&self, id: &str, base: &str, keys: &str) -> &Self {
        self.write(&format!("connections/{id}.toml"), &format!("base_uri = \"{base}\"\n{keys}\n"))
    }

    /// `flows/<id>.toml`: the playground's orders by page from connection `shop`, mapped and sent to `to` on
    /// connection `connection`; `import_keys` go into `[import]`.
    pub fn orders_flow(&self, id: &str, connection: &str, to: &str, import_keys: &str) -> &Self {
        let text = format!(
            r#"[export]
connection   = "shop"
relative_uri = "/page"
records      = "$.data[*]"

[export.paging]
pages_path = "$.pages"

[export.paging.page]
param      = "page"
size_param = "per_page"
size       = 100

[import]
connection   = "{connection}"
relative_uri = "{to}"
{import_keys}
{ORDER_BODY}"#
        );
        self.write(&format!("flows/{id}.toml"), &text)
    }
}

/// A flow that copies `GET /records` to `POST /taken`, both on connection `api`.
pub fn copy_flow(head: &str, import: &str) -> String {
    format!(
        "{head}\n[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"$.data[*]\"\n\n\
         [import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n{import}\n"
    )
}
