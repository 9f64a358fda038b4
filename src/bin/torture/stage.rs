//! A project in a folder of its own, with the text of the shapes written into it; gone at the end unless something
//! broke and `--keep` asks for it.

use crate::rig::Rig;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
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

/// The folder.
pub struct Stage {
    dir: PathBuf,
    keep: Option<PathBuf>,
    broke: bool,
    /// Where `serve` listens.
    pub listen: SocketAddr,
}

impl Stage {
    /// A new folder with a `flowgate.toml`: a free port, and these further tables.
    pub fn new(rig: &Rig, settings: &str) -> io::Result<Self> {
        let name = format!("flowgate-torture-{}-{}", std::process::id(), rig.next_stage());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir(&dir)?;
        let listen = free_port()?;
        let stage = Self { dir, keep: rig.keep.clone(), broke: false, listen };
        stage.write("flowgate.toml", &format!("[server]\nlisten = \"{listen}\"\n{settings}\n"))?;
        Ok(stage)
    }

    /// The project directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The default state directory.
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Writes a file whole, with the folders it needs, by rename: nobody ever sees half of it.
    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap_or(&self.dir))?;
        let beside = path.with_extension("tmp~");
        std::fs::write(&beside, text)?;
        std::fs::rename(&beside, &path)
    }

    /// Keeps the folder, when that is wanted.
    pub fn broke(&mut self) {
        self.broke = true;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.broke
            && let Some(keep) = &self.keep
            && let Some(name) = self.dir.file_name()
        {
            let _ = std::fs::create_dir_all(keep);
            // Another file system, perhaps: then it stays where it is.
            let _ = std::fs::rename(&self.dir, keep.join(name));
            return;
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A port nobody listens on now. Another process may take it before it is used; then a start fails and is told.
pub fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
