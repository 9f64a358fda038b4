//! Names in other spellings: `camelCase`, `snake_case` and the like.

use super::{Call, Function, Outcome};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("camelcase", "s: text", |call| {
        let words = words(call)?;
        let camel = words.iter().enumerate().map(|(n, word)| if n == 0 { word.clone() } else { up(word) }).collect();
        call.made(camel)
    })
    .says("`newArrival`")
    .example(r#"["new-arrival-products"]"#, "newArrivalProducts"),
    Function::new("pascalcase", "s: text", |call| {
        let pascal = words(call)?.iter().map(|word| up(word)).collect();
        call.made(pascal)
    })
    .says("`NewArrival`")
    .example(r#"["order_123_id"]"#, "Order123Id"),
    Function::new("snakecase", "s: text", |call| with(call, "_"))
        .says("`new_arrival`")
        .example(r#"["getUserProfile"]"#, "get_user_profile"),
    Function::new("dashcase", "s: text", |call| with(call, "-"))
        .says("`new-arrival`")
        .example(r#"["a-b-c d_e"]"#, "a-b-c-d-e"),
    Function::new("dotcase", "s: text", |call| with(call, "."))
        .says("`new.arrival`")
        .example(r#"["a-b-c d_e"]"#, "a.b.c.d.e"),
    Function::new("pathcase", "s: text", |call| with(call, "/"))
        .says("`new/arrival`")
        .example(r#"["a-b-c d_e"]"#, "a/b/c/d/e"),
];

fn with<'a>(call: &Call<'_, 'a>, between: &str) -> Outcome<'a> {
    let joined = words(call)?.join(between);
    call.made(joined)
}

/// Words in small letters: split at everything that is no letter or digit, and before capitals.
fn words(call: &Call<'_, '_>) -> Result<Vec<String>, crate::value::issue::EvalError> {
    let text = call.text(0)?;
    call.budget.spend(text.len() / 16)?;
    call.budget.produce(text.len() * 2)?;
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in text.chars() {
        let begins = c.is_uppercase() && (before.is_lowercase() || before.is_numeric());
        if (begins || !c.is_alphanumeric()) && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    Ok(words)
}

fn up(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
