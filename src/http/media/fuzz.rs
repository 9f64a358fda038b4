//! What fuzzing calls: any bytes as the body of an answer in each media type.

use super::unpack::{Decode, Layer};
use super::{Lens, MediaSettings, MediaType, MediaTypes};
use crate::value::json::Json;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

/// `max_response` here.
const MOST: u64 = 1 << 20;

const TYPES: [MediaType; 6] =
    [MediaType::Json, MediaType::Ndjson, MediaType::Csv, MediaType::Form, MediaType::Multipart, MediaType::Text];

/// A body that is read is JSON by then, and can be written and read again.
pub(in crate::http) fn fuzz(data: &[u8]) {
    let settings = MediaSettings::default();
    let mut headers = HeaderMap::new();
    for media in TYPES {
        headers.remove(CONTENT_TYPE);
        if media == MediaType::Multipart {
            let kinds = ["multipart/form-data; boundary=B", "multipart/mixed; boundary=B"];
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kinds[data.len() % 2]));
        }
        for layers in [&[][..], &[Layer::Gzip], &[Layer::Zip], &[Layer::Base64, Layer::Gzip]] {
            let decode = Decode { layers: layers.to_vec(), media: Some(media) };
            let types = MediaTypes { success: Some(media), ..MediaTypes::default() };
            let decode = Some(&decode).filter(|decode| !decode.layers.is_empty());
            let lens = Lens { types, decode, settings: &settings, max: MOST };
            let Ok((document, _)) = lens.read(true, &headers, data.to_vec()) else { continue };
            let json = Json::parse(document.text());
            assert!(json.is_ok() || media == MediaType::Ndjson, "what was read is JSON");
            for media in TYPES {
                let _ = media.write(&Json::trusted(document.text()), &settings);
            }
        }
    }
}
