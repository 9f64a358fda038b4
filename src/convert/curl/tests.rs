//! Command lines in the styles of vendors' documentation: each becomes a project that `check` passes, none of whose
//! files holds a credential.

use super::*;
use crate::config::{self, Env};
use std::fs;

struct Nothing;
impl Env for Nothing {
    fn var(&self, _: &str) -> Option<String> {
        None
    }
}

fn files(name: &str) -> Result<String, String> {
    match name {
        "order.json" => Ok("{\"sku\": \"a\",\n \"qty\": 2}".to_owned()),
        "note.txt" => Ok("two words\n".to_owned()),
        _ => Err(format!("file `{name}`: the file does not exist")),
    }
}

fn of(line: &str) -> Project {
    project(line, &files).unwrap_or_else(|why| panic!("{line}: {why}"))
}

/// Command lines; every credential in them is a word with `s3cr3t` in it.
const LINES: &[&str] = &[
    "curl https://api.stripe.com/v1/charges -u sk_test_s3cr3t:",
    "curl https://api.stripe.com/v1/customers \\\n  -u \"sk_test_s3cr3t:\" \\\n  -d name=\"Jenny Rosen\" \\\n  --data-urlencode email=\"jenny@example.com\" \\\n  -d \"metadata[order_id]\"=6735",
    "curl -X POST 'https://slack.com/api/chat.postMessage' -H 'Authorization: Bearer xoxb-s3cr3t' -H 'Content-type: application/json; charset=utf-8' --data '{\"channel\":\"C1\",\"text\":\"I hope the tour went well, Mr. Wonka.\"}'",
    "curl -L \\\n  -H \"Accept: application/vnd.github+json\" \\\n  -H \"Authorization: Bearer s3cr3t\" \\\n  -H \"X-GitHub-Api-Version: 2022-11-28\" \\\n  https://api.github.com/repos/OWNER/REPO/issues",
    "curl -X GET \"https://acme.zendesk.com/api/v2/tickets.json?page[size]=100\" -v -u joe@acme.com/token:s3cr3t",
    "curl -X POST 'https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json' --data-urlencode 'To=+15558675310' --data-urlencode 'Body=Hi there' -u $TWILIO_ACCOUNT_SID:$TWILIO_AUTH_TOKEN",
    "curl https://api.openai.com/v1/chat/completions -H \"Content-Type: application/json\" -H \"Authorization: Bearer $OPENAI_API_KEY\" -d '{\"model\": \"gpt-4o\", \"max_tokens\": 5, \"messages\": [{\"role\": \"user\", \"content\": \"Say \\\"this\\\" is a test!\"}]}'",
    "curl --request GET --url 'https://api.notion.com/v1/users' --header 'Notion-Version: 2022-06-28' --header 'Authorization: Bearer '\"$NOTION_KEY\"''",
    "curl -s --user 'api:s3cr3t' https://api.mailgun.net/v3/domain/messages -F from='Excited <me@example.com>' -F to=bar@example.com -F subject='Hello' -F 'text=Testing;type=text/plain'",
    "curl \"https://api.openweathermap.org/data/2.5/weather?q=London,uk&appid=s3cr3t\"",
    "curl 'https://maps.googleapis.com/maps/api/geocode/json?address=1600+Amphitheatre&key=s3cr3t'",
    "curl -H 'X-Shopify-Access-Token: s3cr3t' https://shop.myshopify.com/admin/api/2024-01/orders.json?status=any",
    "curl --location 'https://api.hubapi.com/crm/v3/objects/contacts' --header 'authorization: Bearer s3cr3t' --header 'Content-Type: application/json' --data-raw '{\"properties\": {\"email\": \"a@b.c\", \"pick\": \"$.x\", \"f\": \"= 1\"}}'",
    "curl -XPOST -H 'Content-Type: application/json' 'https://api.linear.app/graphql' -H 'Authorization: s3cr3t' --data '{ \"query\": \"{ issues { nodes { id title } } }\" }'",
    "curl -X PUT \"https://es.example.com:9200/customer/_doc/1?pretty\" -H 'Content-Type: application/json' -d'\n{\n  \"name\": \"John Doe\", \"none\": null, \"n\": 12345678901234567890, \"f\": 1.5\n}\n'",
    "curl -k -u admin:s3cr3t https://10.0.0.1:8443/api/v1/status",
    "curl --digest -u joe:s3cr3t https://digest.example.com/things",
    "curl -b 'session=s3cr3t; a=b' https://app.example.com/me/orders",
    "curl -G https://api.example.com/search -d q=a%20b -d limit=10 --data-urlencode 'filter=a & b' -H 'X-Api-Key: s3cr3t'",
    "curl --compressed -A 'my agent/1.0' -e https://example.com https://api.example.com/items",
    "curl --json '{\"a\": [1, true, {\"b\": \"{{x}}\"}]}' https://api.example.com/post",
    "curl -X DELETE https://api.example.com/items/42 -H 'Authorization: Token token=s3cr3t'",
    "curl -X PATCH https://api.example.com/items/42 -H 'Content-Type: application/json' -d @order.json",
    "curl https://api.example.com/token -d grant_type=client_credentials -d client_id=abc -d client_secret=s3cr3t",
    "curl --aws-sigv4 \"aws:amz:eu-west-1:execute-api\" --user \"AKIAs3cr3t:s3cr3t\" https://x1.execute-api.eu-west-1.amazonaws.com/prod/pets",
    "curl -X POST https://soap.example.com/service -H 'Content-Type: text/xml; charset=utf-8' -H 'SOAPAction: \"urn:get\"' -d '<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body/></e:Envelope>'",
    "curl -m 10 --connect-timeout 2.5 -x proxy.internal:3128 https://api.example.com/slow",
    "curl $'https://api.example.com/notes' -H $'Content-Type: application/json' --data-binary $'{\"text\":\"it\\'s\\\\nfine \\u00e9\"}' --compressed",
    "curl https://joe:s3cr3t@api.example.com/private/things",
    "curl 'https://api.example.com/list?tag=a&tag=b&empty=&flag'",
    "curl -H 'Authorization: Basic am9lOnMzY3IzdA==' https://api.example.com/basic",
    "curl -H 'Authorization: SSWS s3cr3t' -H 'Accept: application/json' https://dev-1.okta.com/api/v1/users?limit=200",
    "curl -i -X POST https://api.example.com/hooks -H 'Content-Type: application/json' -d \"{\\\"to\\\": \\\"$RECIPIENT\\\", \\\"n\\\": $COUNT}\"",
    "curl \"https://$TENANT.example.com/api/v2/clients\" -H \"authorization: Bearer ${MGMT_API_ACCESS_TOKEN}\"",
    "curl -X POST https://api.example.com/echo -H 'Content-Type: text/plain' --data-urlencode @note.txt | jq .",
    "curl --oauth2-bearer s3cr3t https://api.example.com/things",
    "curl --cacert ca.pem -E client.pem --key client.key https://mtls.example.com/v1/accounts",
    "curl 'https://web.example.com/api/feed' -H 'accept: */*' -H 'sec-fetch-mode: cors' -H 'x-csrf-token: s3cr3t' -H 'cookie: sid=s3cr3t' --data-raw 'a=1&b=%C3%A9+x' --insecure",
    "curl -I https://api.example.com/head",
    "curl -X POST https://api.example.com/batch -H 'Content-Type: application/json' -d '[{\"id\": 1, \"password\": \"s3cr3t\"}, []]'",
];

#[test]
fn every_style_of_command_becomes_a_project_that_check_passes() {
    assert!(LINES.len() >= 30);
    for line in LINES {
        let project = of(line);
        let root = tempfile::tempdir().unwrap();
        let flow = project.flow_text.replace("{connection}", &project.connection);
        for (folder, id, text) in
            [("connections", &project.connection, &project.connection_text), ("flows", &project.flow, &flow)]
        {
            fs::create_dir_all(root.path().join(folder)).unwrap();
            fs::write(root.path().join(folder).join(format!("{id}.toml")), text).unwrap();
            assert!(!text.contains("s3cr3t") && !text.contains("czNjcjN0"), "{line}:\n{text}");
        }
        let loaded = config::load_dir(root.path(), &Nothing).unwrap();
        let told = config::render::text(&loaded.diagnostics, false);
        assert!(loaded.snapshot.is_some(), "{line}\n{}\n{flow}\n{told}", project.connection_text);
        // What is asked for is what the environment has to give, and nothing else is wrong.
        let known = ["unresolved-source", "tls-not-verified"];
        let asked = loaded.diagnostics.iter().all(|one| known.contains(&one.code));
        assert!(asked, "{line}\n{}\n{flow}\n{told}", project.connection_text);
        assert_eq!(loaded.diagnostics.is_empty(), project.variables.is_empty(), "{line}\n{told}");
    }
}

#[track_caller]
fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

#[test]
fn credentials_become_environment_variables_under_the_method_they_belong_to() {
    let stripe = of(LINES[0]);
    holds(
        &stripe.connection_text,
        &[
            "base_uri = \"https://api.stripe.com\"\n",
            "key = { env = \"STRIPE_KEY\" }",
            "[auth.basic]\nusername = \"{{connection.secrets.key}}\"\npassword = \"\"\n",
        ],
    );
    assert_eq!((stripe.connection.as_str(), stripe.flow.as_str()), ("stripe", "charges"));
    assert_eq!(stripe.variables[0].0, "STRIPE_KEY");
    let openai = of(LINES[6]);
    holds(
        &openai.connection_text,
        &[
            "openai_api_key = { env = \"OPENAI_API_KEY\" }",
            "[auth.token]\ntoken = \"{{connection.secrets.openai_api_key}}\"\n",
        ],
    );
    holds(
        &openai.flow_text,
        &["messages = [{ role = \"user\", content = \"Say \\\"this\\\" is a test!\" }]", "max_tokens = 5"],
    );
    holds(&of(LINES[9]).connection_text, &["location = \"query\"\nname     = \"appid\""]);
    holds(&of(LINES[9]).flow_text, &["[export.query]\nq = \"London,uk\"\n"]);
    holds(&of(LINES[11]).connection_text, &["name   = \"X-Shopify-Access-Token\"\nscheme = \"\""]);
    holds(&of(LINES[31]).connection_text, &["scheme = \"SSWS\""]);
    holds(&of(LINES[30]).connection_text, &["username = \"joe\"", "API_PASSWORD".replace("API", "EXAMPLE").as_str()]);
    holds(&of(LINES[24]).connection_text, &["[auth.aws_sigv4]", "region = \"eu-west-1\"\nservice = \"execute-api\""]);
    holds(
        &of(LINES[5]).connection_text,
        &[
            "username = \"{{connection.vars.twilio_account_sid}}\"",
            "twilio_auth_token = { env = \"TWILIO_AUTH_TOKEN\" }",
        ],
    );
    holds(
        &of(LINES[23]).flow_text,
        &["client_id = \"abc\"", "client_secret = \"{{connection.secrets.client_secret}}\""],
    );
}

#[test]
fn requests_keep_what_they_say() {
    let form = of(LINES[1]);
    holds(&form.connection_text, &["media_type = \"form\"", "max_attempts = 1"]);
    holds(
        &form.flow_text,
        &[
            "method       = \"POST\"",
            "name = \"Jenny Rosen\"\nemail = \"jenny@example.com\"\n\"metadata[order_id]\" = \"6735\"",
        ],
    );
    holds(
        &of(LINES[12]).flow_text,
        &["properties = { email = \"a@b.c\", \"\\\\pick\" = { literal = \"$.x\" }, f = { literal = \"= 1\" } }"],
    );
    holds(&of(LINES[14]).flow_text, &["none = \"= none\"\nn = \"= 12345678901234567890\"\nf = 1.5", "pretty = \"\""]);
    holds(&of(LINES[15]).connection_text, &["[tls]\nverify = false"]);
    let search = of(LINES[18]).flow_text;
    holds(&search, &["[export.query]\nq = \"a b\"\nlimit = \"10\"\nfilter = \"a & b\"\n"]);
    assert!(!search.contains("method") && !search.contains("[export.body]"), "{search}");
    holds(&of(LINES[22]).flow_text, &["[export.body]\nsku = \"a\"\nqty = 2"]);
    holds(
        &of(LINES[26]).connection_text,
        &["timeout = \"10000ms\"\nconnect_timeout = \"2500ms\"\nproxy = \"http://proxy.internal:3128\""],
    );
    holds(&of(LINES[27]).flow_text, &["text = \"it's\\nfine é\""]);
    holds(&of(LINES[29]).flow_text, &["tag = [\"a\", \"b\"]\nempty = \"\"\nflag = \"\""]);
    holds(
        &of(LINES[32]).flow_text,
        &["{\\\"to\\\": \\\"{{connection.vars.recipient}}\\\", \\\"n\\\": {{connection.vars.count}} }"],
    );
    holds(
        &of(LINES[33]).connection_text,
        &["base_uri = \"https://{{connection.vars.tenant}}.example.com\"", "tenant = { env = \"TENANT\" }"],
    );
    holds(&of(LINES[34]).flow_text, &["body         = \"two%20words%0A\""]);
    holds(&of(LINES[20]).flow_text, &["a = [1, true, { b = { literal = \"{{x}}\" } }]"]);
}

#[test]
fn what_cannot_be_carried_over_is_an_error_or_a_note() {
    for (line, wanted) in [
        ("wget https://x.example", "no curl command"),
        ("curl", "names no URL"),
        ("curl -X PURGE https://x.example", "the method `PURGE`"),
        ("curl ftp://x.example", "no scheme"),
        ("curl https://x.example -T file", "uploaded"),
        ("curl https://x.example -F f=@a.png", "sends files only"),
        ("curl https://x.example -F 'f=<a.txt' -F 'g=@b;type=text/plain'", "sends files only"),
        ("curl https://x.example --dat a", "did you mean `--data`?"),
        ("curl https://x.example -Z", "`-Z` is not understood"),
        ("curl https://x.example -d", "`-d` lacks its value"),
        ("curl https://x.example -d @gone.json", "does not exist"),
        ("curl https://x.example -d \"$(cat x)\"", "runs another command"),
        ("curl '{{host}}/x'", "placeholder"),
        ("curl 'https://x.example", "single quote is not closed"),
        ("curl -u a:b -H 'Authorization: Bearer c' https://x.example", "two credentials"),
    ] {
        let error = project(line, &files).expect_err(line);
        assert!(error.contains(wanted), "{line}: {error}");
    }
    for (line, wanted) in [
        ("curl https://x.example -F f=@a.png -F a=b", "the file in part `f`"),
        ("curl https://x.example -H 'Content-Type: application/json' -d '{\"a\": ...}'", "it is no JSON"),
        ("curl https://x.example https://y.example", "only the first URL"),
        ("curl https://x.example -b cookies.txt", "cookies kept in a file"),
        ("curl https://x.example -H 'Host: y'", "`Host`"),
        ("curl https://x.example -x http://u:p@proxy:1", "the proxy was left out"),
    ] {
        let notes = of(line).notes;
        assert!(notes.iter().any(|note| note.contains(wanted)), "{line}: {notes:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_command_line_panics(text in "\\PC{0,60}", noise in "[-a-zA-Z0-9 '\"$\\\\{}@=:/?&;|\n]{0,80}") {
        for text in [text, noise] {
            let _ = project(&format!("curl {text}"), &files);
            let _ = project(&format!("curl https://x.example/{text}"), &files);
        }
    }
}
