//! `aws4`: the signature of AWS over the request that the text becomes a part of.

use super::{Call, Function, Outcome};
use crate::value::context::{BODY_HASH, Root, Slot};
use crate::value::sigv4::{self, Key, Signed};
use url::Url;

pub(super) const FUNCTIONS: &[Function] = &[Function::new(
    "aws4",
    "accessKey: text, secretKey: text, sessionToken: text, region: text, service: text",
    aws4,
)
.signing()
.says(
    "the value of `Authorization` that signs the request as it leaves (AWS Signature Version 4); without region \
             or service what the host of an AWS API tells; here of `GET https://example.amazonaws.com/` with \
             `X-Amz-Date: 20150830T123600Z`",
)
.example(
    "{{{aws4 \"AKIDEXAMPLE\" \"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\" null \"us-east-1\" \"service\"}}}",
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
)];

fn aws4<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let Slot::Map(request) = call.ctx.get(Root::HmacOptions) else { return Err(call.refused("there is no request")) };
    let part = |name: &str| request.iter().find(|(part, _)| *part == name).map(|(_, slot)| *slot);
    let (Some(Slot::Text(method)), Some(Slot::Text(uri)), Some(Slot::Headers(headers)), Some(Slot::Text(body))) =
        (part("method"), part("URI"), part("headers"), part(BODY_HASH))
    else {
        return Err(call.refused("the request is not whole"));
    };
    let url = Url::parse(uri).map_err(|_| call.refused("the request has no address"))?;
    let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let texts = [0, 1, 2, 3, 4].map(|n| call.text(n));
    let [access_key, secret_key, session, region, service] = texts;
    let (access_key, secret_key, session) = (access_key?, secret_key?, session?);
    let (mut region, mut service) = (region?, service?);
    if let Some((told_service, told_region)) = url.host_str().and_then(sigv4::place) {
        region = if region.is_empty() { told_region.to_owned().into() } else { region };
        service = if service.is_empty() { told_service.to_owned().into() } else { service };
    }
    for (name, word) in [("accessKey", &access_key), ("region", &region), ("service", &service)] {
        if !sigv4::is_word(word) {
            return Err(call.refused(&format!("`{name}` is empty or holds `/`, `,`, `=` or blanks")));
        }
    }
    let lacks = |name: &str, why: &str| call.refused(&format!("{why}: add the header `{name}`"));
    let stamp = header("x-amz-date").ok_or_else(|| lacks("X-Amz-Date", "a date travels with the signature"))?;
    if !session.is_empty() && header("x-amz-security-token").is_none() {
        return Err(lacks("X-Amz-Security-Token", "a session token travels with the signature"));
    }
    if sigv4::is_s3(&service) && header("x-amz-content-sha256").is_none() {
        return Err(lacks("X-Amz-Content-Sha256", "S3 wants the hash of the body to travel with the signature"));
    }
    let size = uri.len() + headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    call.budget.spend(size / 64)?;
    let key = Key { access_key: &access_key, secret_key: &secret_key, region: &region, service: &service };
    let signature = key.sign(&Signed { method, url: &url, headers, body, stamp });
    call.made(signature.header)
}

#[cfg(test)]
mod tests {
    use crate::value::context::{BODY_HASH, Context, Root, Slot};
    use crate::value::sigv4;
    use crate::value::template::{Place, Template};

    fn signed(url: &str, headers: &[(&str, &str)], arguments: &str) -> Result<String, String> {
        let headers: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let hash = sigv4::hash(b"");
        let request = [
            ("method", Slot::Text("GET")),
            ("URI", Slot::Text(url)),
            ("headers", Slot::Headers(&headers)),
            (BODY_HASH, Slot::Text(&hash)),
        ];
        let ctx = Context::new().with(Root::HmacOptions, Slot::Map(&request));
        let template = Template::compile(&format!("{{{{{{aws4 {arguments}}}}}}}"), Place::Header).unwrap();
        let mut out = String::new();
        template.render(&ctx, &mut out).map(|()| out).map_err(|error| error.to_string())
    }

    #[test]
    fn what_must_travel_with_a_signature_is_asked_for_and_what_the_host_tells_is_not() {
        let dated = ("x-amz-date", "20150830T123600Z");
        let aws = "https://ab.execute-api.eu-west-1.amazonaws.com/x";
        let own = "https://api.example/x";
        for (url, headers, arguments, wanted) in [
            (own, vec![], "\"A\" \"s\" \"\" \"r\" \"s\"", "add the header `X-Amz-Date`"),
            (own, vec![dated], "\"A\" \"s\" \"t\" \"r\" \"s\"", "add the header `X-Amz-Security-Token`"),
            (own, vec![dated], "\"A\" \"s\" null \"r\" \"s3\"", "add the header `X-Amz-Content-Sha256`"),
            (own, vec![dated], "\"A\" \"s\" null \"\" \"s\"", "`region` is empty"),
            (own, vec![dated], "\"A/B\" \"s\" null \"r\" \"s\"", "`accessKey` is empty or holds"),
        ] {
            let error = signed(url, &headers, arguments).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
        let told = signed(aws, &[dated], "\"A\" \"s\" null \"\" \"\"").unwrap();
        assert!(told.contains("/20150830/eu-west-1/execute-api/aws4_request"), "{told}");
        assert_eq!(told, signed(aws, &[dated], "\"A\" \"s\" null \"eu-west-1\" \"execute-api\"").unwrap());
        assert_ne!(told, signed(aws, &[dated], "\"A\" \"other\" null \"\" \"\"").unwrap());
        let token = ("x-amz-security-token", "t");
        let told = signed(own, &[dated, token], "\"A\" \"s\" \"t\" \"r\" \"s\"").unwrap();
        assert!(told.contains("SignedHeaders=host;x-amz-date;x-amz-security-token,"), "{told}");
    }
}
