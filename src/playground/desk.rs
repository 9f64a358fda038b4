//! The back office of the playground: what the examples ask beside feeds and destinations. Everything is a pure
//! function of the records there are.
//!
//! - `GET /shop/history?after=&until=`: all orders by the time they were made, which is what a delta export reads.
//! - `GET /shop/customers/<id>/orders`: the orders of one customer.
//! - `GET /erp/customers?email=`: the account of whoever ordered with this address.
//! - `GET /shop/orders.csv?page=`: all orders as a sheet, a hundred a page.
//! - `GET /erp/orders?ext_id=`: whether the ERP has an order already; it has every second one.

use super::record::Order;
use super::settings::Settings;
use super::source::Shelf;

/// Orders of one year; with the next one the months begin anew.
const YEAR: u64 = 480_000;

/// The columns of the sheet.
const COLUMNS: [&str; 11] =
    ["id", "sku", "first_name", "last_name", "email", "qty", "unit_cents", "status", "city", "country", "note"];

/// What is asked at the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// Orders by time.
    History,
    /// Orders of one customer.
    OrdersOf(u64),
    /// All orders as a sheet.
    Sheet,
    /// The account behind an address.
    Account,
    /// Whether an order is known.
    Known,
}

impl Ask {
    /// What a path asks, when it is one of the desk's.
    pub(super) fn of(path: &str) -> Option<Self> {
        match path {
            "/shop/history" => Some(Self::History),
            "/shop/orders.csv" => Some(Self::Sheet),
            "/erp/customers" => Some(Self::Account),
            "/erp/orders" => Some(Self::Known),
            _ => {
                let customer = path.strip_prefix("/shop/customers/")?.strip_suffix("/orders")?;
                customer.parse().ok().map(Self::OrdersOf)
            }
        }
    }

    /// The orders that are listed; none when what is asked has one answer and no pages.
    pub(super) fn shelf<'a>(&self, settings: &'a Settings, query: &str) -> Result<Option<Shelf<'a>>, String> {
        let row = |first, step, count| Ok(Some(Shelf::Row { settings, first, step, count }));
        match self {
            Self::History => {
                let after = read(query, "after")
                    .filter(|text| !text.is_empty())
                    .map_or(Ok(0), |text| made_by(settings, &text))?;
                let until =
                    read(query, "until").map_or(Ok(settings.records.min(YEAR)), |text| made_by(settings, &text))?;
                row(after + 1, 1, until.saturating_sub(after))
            }
            Self::OrdersOf(customer) if *customer == 0 || *customer > settings.customers => {
                Err(format!("there is no customer {customer}"))
            }
            Self::OrdersOf(customer) => {
                let count = settings.records.saturating_sub(*customer).div_ceil(settings.customers);
                let own = u64::from(
                    *customer <= settings.records
                        && settings.records.saturating_sub(*customer).is_multiple_of(settings.customers),
                );
                row(*customer, settings.customers, count + own)
            }
            Self::Account | Self::Known | Self::Sheet => Ok(None),
        }
    }

    /// The type of what has one answer.
    pub(super) fn content_type(&self) -> &'static str {
        if *self == Self::Sheet { "text/csv; charset=utf-8" } else { "application/json" }
    }

    /// What has one answer.
    pub(super) fn answer(&self, settings: &Settings, query: &str) -> Result<Vec<u8>, String> {
        let found = match self {
            Self::Sheet => {
                let number = read(query, "page").map_or(Ok(1), |number| number.parse::<u64>());
                return Ok(sheet(settings, number.map_err(|why| why.to_string())?).into_bytes());
            }
            Self::Account => account(settings, &read(query, "email").ok_or("whose account? say `email`")?),
            _ => {
                let id = read(query, "ext_id").ok_or("which order? say `ext_id`")?;
                let id: u64 = id.parse().map_err(|_| format!("ext_id: {id:?} is not a whole number"))?;
                id.is_multiple_of(2).then(|| format!("{{\"id\":\"E-{id}\"}}"))
            }
        };
        Ok(format!("{{\"data\":[{}]}}", found.unwrap_or_default()).into_bytes())
    }
}

/// A page of the sheet: a header row, and the rows there are.
fn sheet(settings: &Settings, number: u64) -> String {
    const ROWS: u64 = 100;
    let first = number.saturating_sub(1).saturating_mul(ROWS) + 1;
    let last = settings.records.min(first.saturating_add(ROWS - 1));
    let mut text = COLUMNS.join(";") + "\r\n";
    for id in first..=last {
        let mut order = Vec::new();
        Order::of(id).write(&mut order, 0);
        let order: serde_json::Value = serde_json::from_slice(&order).unwrap_or_default();
        let cell = |name: &&str| match order.get(*name).or_else(|| order.get("address")?.get(*name)) {
            Some(serde_json::Value::String(text)) => format!("\"{}\"", text.replace('"', "\"\"")),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        text.push_str(&COLUMNS.iter().map(cell).collect::<Vec<_>>().join(";"));
        text.push_str("\r\n");
    }
    text
}

/// The account of whoever ordered: a few hundred customers share the orders.
fn account(settings: &Settings, email: &str) -> Option<String> {
    let buyer: u64 = email.strip_prefix("buyer")?.strip_suffix("@example.test")?.parse().ok()?;
    let customer = account_of(buyer, settings.customers)?;
    let tier = if customer.is_multiple_of(5) { "gold" } else { "plain" };
    Some(format!("{{\"id\":\"K-{customer}\",\"tier\":\"{tier}\"}}"))
}

/// Who made an order; nobody in a shop without customers.
pub(super) fn account_of(order: u64, customers: u64) -> Option<u64> {
    (customers > 0 && order > 0).then(|| (order - 1) % customers + 1)
}

/// The last order that was made by then.
fn made_by(settings: &Settings, time: &str) -> Result<u64, String> {
    let asked =
        chrono::DateTime::parse_from_rfc3339(time).map_err(|why| format!("{time:?} is no time of RFC 3339: {why}"))?;
    let asked = asked.to_utc().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    // Orders are made one after the other: halve until the last one is found.
    let (mut low, mut high) = (0, settings.records.min(YEAR));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if Order::of(middle).created_at() <= asked {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Ok(low)
}

fn read(query: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> Settings {
        Settings { records: 1_000, customers: 300, ..Settings::default() }
    }

    fn row(ask: Ask, query: &str) -> (u64, u64, u64) {
        match ask.shelf(&shop(), query).unwrap().unwrap() {
            Shelf::Row { first, step, count, .. } => (first, step, count),
            _ => panic!("another shelf"),
        }
    }

    #[test]
    fn history_goes_from_one_instant_to_another() {
        assert_eq!(row(Ask::History, ""), (1, 1, 1_000));
        assert_eq!(row(Ask::History, "after="), (1, 1, 1_000));
        let at = |id: u64| Order::of(id).created_at();
        assert_eq!(row(Ask::History, &format!("after={}", at(400))), (401, 1, 600));
        assert_eq!(row(Ask::History, &format!("after={}&until={}", at(400), at(450))), (401, 1, 50));
        assert_eq!(row(Ask::History, "after=2030-01-01T00:00:00Z"), (1_001, 1, 0));
        assert!(Ask::History.shelf(&shop(), "after=yesterday").is_err());
    }

    #[test]
    fn every_order_belongs_to_one_customer() {
        let mut seen = vec![0; 1_000];
        for customer in 1..=300 {
            let (first, step, count) = row(Ask::OrdersOf(customer), "");
            for k in 0..count {
                let order = first + k * step;
                seen[usize::try_from(order - 1).unwrap()] += 1;
                assert_eq!(account_of(order, 300), Some(customer));
            }
        }
        assert!(seen.iter().all(|times| *times == 1));
        assert!(Ask::OrdersOf(301).shelf(&shop(), "").is_err());
    }

    #[test]
    fn accounts_and_known_orders_are_told() {
        let answer = |ask: Ask, query: &str| String::from_utf8(ask.answer(&shop(), query).unwrap()).unwrap();
        assert_eq!(
            answer(Ask::Account, "email=buyer305@example.test"),
            "{\"data\":[{\"id\":\"K-5\",\"tier\":\"gold\"}]}"
        );
        assert_eq!(answer(Ask::Account, "email=nobody"), "{\"data\":[]}");
        assert_eq!(answer(Ask::Known, "ext_id=8"), "{\"data\":[{\"id\":\"E-8\"}]}");
        assert_eq!(answer(Ask::Known, "ext_id=7"), "{\"data\":[]}");
        assert!(Ask::Known.answer(&shop(), "ext_id=x").is_err() && Ask::Account.answer(&shop(), "").is_err());
    }

    #[test]
    fn the_sheet_has_every_order_once_and_then_only_its_header() {
        let page =
            |number: u64| String::from_utf8(Ask::Sheet.answer(&shop(), &format!("page={number}")).unwrap()).unwrap();
        assert!(page(1).starts_with("id;sku;first_name;") && page(10).contains("\r\n1000;\"ART-"));
        assert_eq!(page(11), "id;sku;first_name;last_name;email;qty;unit_cents;status;city;country;note\r\n");
        assert!(Ask::Sheet.answer(&shop(), "page=x").is_err());
    }

    #[test]
    fn paths_of_the_desk_are_told_from_others() {
        assert_eq!(Ask::of("/shop/customers/7/orders"), Some(Ask::OrdersOf(7)));
        for other in ["/shop/customers", "/shop/customers/x/orders", "/shop/customers//orders", "/erp/orders/7"] {
            assert_eq!(Ask::of(other), None, "{other}");
        }
    }
}
