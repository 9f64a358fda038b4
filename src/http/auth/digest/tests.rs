//! The vectors of RFC 7616 and RFC 2617, and what happens around challenges.

use super::super::testing::{Fixed, context, moment, request, template};
use super::challenge::{self, Challenge, Quality};
use super::response::Answer;
use super::*;
use proptest::prelude::*;
use reqwest::header::{HeaderName, WWW_AUTHENTICATE};
use std::collections::BTreeSet;

const URL: &str = "http://www.example.org/dir/index.html";

fn asking(challenges: &[&str]) -> HeaderMap {
    challenges.iter().map(|text| (WWW_AUTHENTICATE, HeaderValue::from_bytes(text.as_bytes()).unwrap())).collect()
}

fn picked(challenges: &[&str]) -> Option<Challenge> {
    challenge::strongest(&challenge::schemes(&asking(challenges)))
}

fn signer() -> DigestSigner {
    let digest = Digest { username: template("Mufasa"), password: template("Circle of Life") };
    digest.ready(&context()).unwrap().0
}

fn sign(signer: &DigestSigner) -> (u64, String) {
    let mut wire = request("GET", URL, &[], None);
    let sent = signer.sign(&mut wire, &moment("2026-01-01T00:00:00Z", &Fixed([7; 16]))).unwrap().mark;
    let text = wire.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    (sent, text.unwrap_or_default())
}

fn url() -> Url {
    Url::parse(URL).unwrap()
}

fn field<'a>(header: &'a str, name: &str) -> &'a str {
    let start = header.find(&format!("{name}=")).unwrap_or_else(|| panic!("{name} in {header}")) + name.len() + 1;
    header[start..].split(',').next().unwrap().trim_matches('"')
}

const MD5: &str = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=MD5, \
                   nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                   opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

fn answered(challenge: &Challenge, cnonce: &str) -> String {
    let answer = Answer {
        challenge,
        username: "Mufasa",
        password: "Circle of Life",
        method: "GET",
        uri: "/dir/index.html",
        body: b"",
        count: 1,
        cnonce,
    };
    String::from_utf8(answer.header()).unwrap()
}

#[test]
fn section_3_9_1_of_rfc_7616_comes_out_with_md5_and_sha_256() {
    let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    let md5 = picked(&[MD5]).unwrap();
    assert_eq!(
        answered(&md5, cnonce),
        "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", \
         nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", uri=\"/dir/index.html\", algorithm=MD5, \
         response=\"8ca523f5e9506fed4657c9700eebdbec\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\", \
         qop=auth, nc=00000001, cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\""
    );
    let sha = picked(&[&MD5.replace("=MD5", "=SHA-256"), MD5]).unwrap();
    let response = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
    assert_eq!(field(&answered(&sha, cnonce), "response"), response);
}

#[test]
fn section_3_9_2_of_rfc_7616_hashes_a_user_name_beyond_ascii() {
    let challenge = picked(&["Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
                             nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", \
                             opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\", charset=UTF-8, userhash=true"]);
    let challenge = challenge.unwrap();
    let answer = Answer {
        challenge: &challenge,
        username: "Jäsøn Doe",
        password: "Secret, or not?",
        method: "GET",
        uri: "/doe.json",
        body: b"",
        count: 1,
        cnonce: "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    };
    let header = String::from_utf8(answer.header()).unwrap();
    // As erratum 4897 corrects them: the RFC printed values of another hash.
    assert_eq!(field(&header, "username"), "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b");
    assert_eq!(field(&header, "response"), "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5");
    assert_eq!(field(&header, "userhash"), "true");
    let plain = Challenge { userhash: false, ..challenge.clone() };
    let header = String::from_utf8(Answer { challenge: &plain, ..answer }.header()).unwrap();
    assert!(header.contains("username*=UTF-8''J%C3%A4s%C3%B8n%20Doe,"), "{header}");
}

#[test]
fn the_example_of_rfc_2617_and_the_form_before_it_come_out() {
    let text = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
                nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
    let challenge = picked(&[text]).unwrap();
    let answer = |challenge| Answer {
        challenge,
        username: "Mufasa",
        password: "Circle Of Life",
        method: "GET",
        uri: "/dir/index.html",
        body: b"",
        count: 1,
        cnonce: "0a4f113b",
    };
    let header = String::from_utf8(answer(&challenge).header()).unwrap();
    assert_eq!(field(&header, "response"), "6629fae49393a05397450978507c4ef1");
    assert!(!header.contains("algorithm"), "not sent back when it was not given: {header}");
    let legacy = picked(&[&text.replace("qop=\"auth,auth-int\", ", "")]).unwrap();
    assert_eq!(legacy.quality, Quality::Legacy);
    let header = String::from_utf8(answer(&legacy).header()).unwrap();
    // RFC 2069's way: H(H(A1):nonce:H(A2)).
    assert_eq!(field(&header, "response"), "670fd8c2df070c60b045671b8b24ff02");
    assert!(!header.contains("cnonce") && !header.contains("nc="), "{header}");
}

#[test]
fn sess_and_auth_int_follow_their_definitions() {
    let challenge = picked(&["Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess, qop=\"auth-int\""]).unwrap();
    let answer = Answer {
        challenge: &challenge,
        username: "u",
        password: "p",
        method: "POST",
        uri: "/x?y=1",
        body: b"{\"a\":1}",
        count: 0x2a,
        cnonce: "c",
    };
    let md5 = |text: String| Hash::Md5.hex(&[text.as_bytes()]);
    let a1 = md5(format!("{}:n:c", md5("u:r:p".to_owned())));
    let a2 = md5(format!("POST:/x?y=1:{}", md5("{\"a\":1}".to_owned())));
    assert_eq!(answer.response(), md5(format!("{a1}:n:0000002a:c:auth-int:{a2}")));
    assert!(String::from_utf8(answer.header()).unwrap().contains("algorithm=MD5-sess"));
}

#[test]
fn the_strongest_of_several_is_answered_wherever_it_stands() {
    let weak = "Digest realm=\"a\", nonce=\"1\", algorithm=MD5";
    let middle = "Digest realm=\"a\", nonce=\"2\", algorithm=SHA-256";
    let strong = "Digest realm=\"a, b=c\", nonce=\"3\", algorithm=\"SHA-512-256\"";
    let one = format!("Negotiate abc==, {weak}, Basic realm=\"x\\\"y, Digest\", {strong},{middle}, NTLM");
    for headers in [&[one.as_str()][..], &[weak, strong, middle], &["Basic realm=x", strong, weak]] {
        let found = picked(headers).unwrap();
        assert_eq!((found.hash, &found.nonce[..], &found.realm[..]), (Hash::Sha512_256, &b"3"[..], &b"a, b=c"[..]));
    }
    let equal = picked(&[weak, "Digest realm=\"a\", nonce=\"9\""]).unwrap();
    assert_eq!(equal.nonce, b"1", "of equals the first");
}

#[test]
fn what_cannot_be_answered_is_refused_and_basic_is_no_way_out() {
    let signer = signer();
    for offers in [
        &["Basic realm=\"x\""][..],
        &["Digest realm=\"x\", nonce=\"n\", algorithm=SHA-3, Basic realm=\"x\""],
        &["Digest realm=\"x\", nonce=\"n\", qop=\"token\""],
        &["Digest nonce=\"n\""],
        &["Digest realm=\"x\", nonce=\"\""],
        &["Digest realm=\"x\", nonce=\"open"],
        &["=, ,,Digest"],
        &[],
    ] {
        let Challenged::Refused(why) = signer.challenged(&url(), &asking(offers), 0) else {
            panic!("{offers:?}");
        };
        assert!(why.contains("asks for no digest"), "{why}");
        assert_eq!(sign(&signer), (0, String::new()), "nothing is sent");
    }
    let Challenged::Refused(why) = signer.challenged(&url(), &asking(&["Basic realm=x"]), 0) else { panic!() };
    assert!(why.ends_with("it offers: basic"), "{why}");
}

#[test]
fn a_challenge_is_learnt_once_and_counted_up() {
    let signer = signer();
    assert_eq!(sign(&signer), (0, String::new()), "nothing is known yet");
    assert_eq!(signer.challenged(&url(), &asking(&[MD5]), 0), Challenged::Again);
    let cnonces: BTreeSet<String> = (1..=3_u32)
        .map(|n| {
            let (sent, header) = sign(&signer);
            assert_eq!((sent, field(&header, "nc")), (1, format!("{n:08x}").as_str()));
            field(&header, "cnonce").to_owned()
        })
        .collect();
    assert_eq!(cnonces.len(), 1, "one per challenge, as -sess needs");
    let mut other = request("GET", "http://other.example/", &[], None);
    let made = signer.sign(&mut other, &moment("2026-01-01T00:00:00Z", &Fixed([7; 16]))).unwrap();
    assert_eq!((made.mark, made.secrets.len(), other.headers.len()), (0, 0, 0), "another origin has not asked");
}

#[test]
fn counts_are_unique_under_concurrency() {
    let signer = signer();
    signer.challenged(&url(), &asking(&[MD5]), 0);
    let mut counts: Vec<String> = std::thread::scope(|scope| {
        let sign_many = || (0..250).map(|_| field(&sign(&signer).1, "nc").to_owned()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(sign_many)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    counts.sort();
    assert_eq!(counts, (1..=1000).map(|n| format!("{n:08x}")).collect::<Vec<_>>());
}

#[test]
fn requests_refused_together_learn_one_challenge() {
    let signer = signer();
    for n in 0..10 {
        let own = MD5.replace("7ypf", &format!("{n}"));
        assert_eq!(signer.challenged(&url(), &asking(&[&own]), 0), Challenged::Again);
    }
    let (sent, header) = sign(&signer);
    assert_eq!(sent, 1);
    assert!(field(&header, "nonce").starts_with("0/xlj"), "{header}");
}

#[test]
fn a_stale_nonce_is_renewed_and_counts_anew() {
    let signer = signer();
    signer.challenged(&url(), &asking(&[MD5]), 0);
    for round in 1..=3_u64 {
        let (sent, header) = sign(&signer);
        assert_eq!((sent, field(&header, "nc")), (round, "00000001"));
        let stale = format!("{}, stale=TRUE", MD5.replace("7ypf", &format!("{round}")));
        assert_eq!(signer.challenged(&url(), &asking(&[&stale]), sent), Challenged::Again);
    }
}

#[test]
fn a_wrong_password_is_refused_at_once_and_a_silently_expired_nonce_is_renewed() {
    let signer = signer();
    signer.challenged(&url(), &asking(&[MD5]), 0);
    let (sent, _) = sign(&signer);
    let other = MD5.replace("7ypf", "next");
    let refused = signer.challenged(&url(), &asking(&[&other]), sent);
    assert_eq!(refused, Challenged::Refused("the server refused this user name and password".to_owned()));
    // Once accepted, a fresh nonce without `stale` means that the old one ran out.
    signer.accepted(&url(), &HeaderMap::new(), sent);
    assert!(matches!(signer.challenged(&url(), &asking(&[MD5]), sent), Challenged::Refused(_)), "the same nonce");
    assert_eq!(signer.challenged(&url(), &asking(&[&other]), sent), Challenged::Again);
    assert_eq!(sign(&signer).0, 2);
    assert!(matches!(signer.challenged(&url(), &asking(&[MD5]), 2), Challenged::Refused(_)));
}

#[test]
fn the_next_nonce_of_an_accepted_request_is_used() {
    let signer = signer();
    signer.challenged(&url(), &asking(&[MD5]), 0);
    let (sent, _) = sign(&signer);
    let info = HeaderValue::from_static("rspauth=\"00\", nextnonce=\"fresh\", qop=auth");
    let headers: HeaderMap = [(HeaderName::from_static(NEXT_NONCE), info)].into_iter().collect();
    signer.accepted(&url(), &headers, sent);
    let (next, header) = sign(&signer);
    assert_eq!((next, field(&header, "nonce"), field(&header, "nc")), (2, "fresh", "00000001"));
    signer.accepted(&url(), &headers, sent);
    assert_eq!(sign(&signer).0, 2, "a straggler changes nothing");
}

#[test]
fn a_bomb_of_challenges_is_cut_and_origins_are_capped() {
    let one = "Digest realm=\"r\", nonce=\"n\", ".repeat(5_000);
    assert!(challenge::schemes(&asking(&[&one])).is_empty(), "more bytes than anybody needs");
    let many = vec!["Basic realm=x"; 500];
    assert_eq!(challenge::schemes(&asking(&many)).len(), 16);
    let long = format!(
        "Digest {} realm=\"r\", nonce=\"n\"",
        (0..200).map(|n| format!("x{n}=1")).collect::<Vec<_>>().join(",") + ","
    );
    assert_eq!(picked(&[&long]), None, "parameters beyond the cap are not kept");
    let signer = signer();
    for n in 0..100 {
        let url = Url::parse(&format!("http://host{n}.example/")).unwrap();
        signer.challenged(&url, &asking(&[MD5]), 0);
    }
    assert_eq!(signer.sessions().known.len(), MOST_ORIGINS);
}

#[test]
fn quotes_travel_escaped_and_a_used_up_counter_starts_over() {
    let signer = signer();
    signer.challenged(&url(), &asking(&["Digest realm=\"say \\\"hi\\\"\", nonce=\"a\\\\b\", qop=auth"]), 0);
    let (_, header) = sign(&signer);
    assert!(header.contains("realm=\"say \\\"hi\\\"\", nonce=\"a\\\\b\""), "{header}");
    signer.sessions().known[0].1.count = u32::MAX;
    assert_eq!(sign(&signer), (0, String::new()));
}

proptest! {
    #[test]
    fn no_header_panics(text in "[ -~\u{80}-\u{ff}]{0,200}") {
        let bytes: Vec<u8> = text.chars().filter_map(|c| u8::try_from(u32::from(c)).ok()).collect();
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let headers: HeaderMap = [(WWW_AUTHENTICATE, value)].into_iter().collect();
            let signer = signer();
            if signer.challenged(&url(), &headers, 0) == Challenged::Again {
                prop_assert!(sign(&signer).0 == 1);
            }
        }
    }

    #[test]
    fn what_is_quoted_is_read_back(value in "[ -~]{0,40}") {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
        let found = picked(&[&format!("Digest realm=\"{escaped}\",nonce=n , x=y")]).unwrap();
        prop_assert_eq!(String::from_utf8(found.realm).unwrap(), value);
    }
}
