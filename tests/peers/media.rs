//! Media types judged by Python's own csv, urllib.parse, email, json, gzip and zipfile, and by urllib3: it writes what is read here, and
//! reads what is written here, row by row.

use crate::{Project, peer};
use std::process::Command;

/// None where there is no Python for it.
fn rows() -> Option<peer::Server> {
    Some(peer::Server::start(Command::new(peer::python()?).arg(peer::script("media.py"))))
}

/// Reads the rows as `query` has them written, and writes them in a media type.
#[track_caller]
fn journey(server: &peer::Server, query: &str, keys: &str, media: &str, import: &str) {
    exported(server, query, keys, "", media, import);
}

/// The same with more to say about the export.
#[track_caller]
fn exported(server: &peer::Server, query: &str, keys: &str, export: &str, media: &str, import: &str) {
    let before = server.seen()[media].as_u64().unwrap();
    let flow = format!(
        "relative_uri = \"/rows?{query}\"\n{export}[import]\nconnection = \"out\"\nrelative_uri = \"/{media}\"\n\
         media_type = \"{media}\"\n{import}"
    );
    let project = Project::new(&server.base, keys, &flow);
    project.write(
        "connections/out.toml",
        &format!("base_uri = \"{}\"\nconcurrency_level = 4\n[csv]\ndelimiter = \";\"\n", server.base),
    );
    project.expect("", 0);
    let seen = server.seen();
    assert!(seen["wrong"].as_array().unwrap().is_empty(), "{seen}");
    assert_eq!(seen[media].as_u64().unwrap() - before, 400, "{query}: {seen}");
}

#[test]
fn python_s_rows_arrive_in_every_encoding_and_dialect_and_python_reads_them_back() {
    let Some(server) = rows() else { return };
    let batch = "batch_size = 100\n";
    for (query, keys) in [
        ("", ""),
        ("all=1&delimiter=%3B", "[csv]\ndelimiter = \";\"\n"),
        ("delimiter=%09", "[csv]\ndelimiter = \"\\t\"\n"),
        ("encoding=utf-8-sig", ""),
        ("encoding=utf-16", ""),
        ("encoding=cp1252&said=windows-1252", ""),
        ("encoding=cp1252", "[csv]\ncharset = \"windows-1252\"\n"),
        ("bare=1", "[csv]\nheader = false\n"),
    ] {
        journey(&server, query, keys, "csv", batch);
    }
}

#[test]
fn python_reads_forms_parts_and_lines_as_they_were_written() {
    let Some(server) = rows() else { return };
    journey(&server, "", "", "ndjson", "batch_size = 100\n");
    journey(&server, "", "", "form", "");
    let file = "[import.body]\nid = \"$.id\"\n'na\"me' = \"$['na\\\"me']\"\n\
                'a b;c' = { filename = \"rows.txt\", content_type = \"text/plain\", content = \"$['a b;c']\" }\n\
                'größe' = \"$['größe']\"\n";
    journey(&server, "", "", "multipart", "");
    journey(&server, "", "", "multipart", file);
}

#[test]
fn parts_that_python_writes_are_read() {
    let Some(server) = rows() else { return };
    let batch = "batch_size = 100\n";
    let all = "records = \"$[*].content\"\n";
    exported(&server, "parts=mixed", "", all, "csv", batch);
    let row = "[export.paging]\nstop_status = 404\n[export.paging.page]\nparam = \"row\"\n";
    exported(&server, "parts=fields", "", row, "multipart", "");
    // Read as a file, and sent on as the file it is.
    let typed = "[import.body]\nid = \"$.id\"\n'na\"me' = \"$['na\\\"me']\"\n\
                 'a b;c' = { filename = \"rows.txt\", content_type = \"text/plain\", content = \"$['a b;c'].content\" }\n\
                 'größe' = \"$['größe']\"\n";
    exported(&server, "parts=files", "", row, "multipart", typed);
}

#[test]
fn what_python_packs_is_unpacked() {
    let Some(server) = rows() else { return };
    for (layers, decode) in [
        ("gzip", "[\"gzip\", \"csv\"]"),
        ("zip", "[\"zip\", \"csv\"]"),
        ("base64", "[\"base64\", \"csv\"]"),
        ("zip,gzip,base64", "[\"base64\", \"gzip\", \"zip\", \"csv\"]"),
    ] {
        let keys = format!("decode = {decode}\n");
        journey(&server, &format!("layers={layers}"), &keys, "csv", "batch_size = 100\n");
    }
}
