//! Every example of docs/policy.md holds: policies are compiled, fragments as rules of one, and each test is run against
//! the policy that it follows. The schemas take them all. (Its commands are run by the tests of the command line.)

use lockgate_core::{BlastVerdict, Decision, Effect};
use lockgate_policy::test::{Asked, PolicyTest, RawRequest, Understood, run};
use lockgate_policy::{Facts, Policy};

use crate::{Kind, json};

const GUIDE: &str = include_str!("../../../../docs/policy.md");

/// The blocks of YAML, with the line that each begins at.
fn blocks() -> Vec<(usize, String)> {
    let mut blocks: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    for (index, line) in GUIDE.lines().enumerate() {
        match line.trim_start() {
            "```yaml" => {
                blocks.push((index + 2, String::new()));
                inside = true;
            }
            fence if fence.starts_with("```") => inside = false,
            _ if inside => {
                let (_, text) = blocks.last_mut().unwrap();
                text.push_str(line);
                text.push('\n');
            }
            _ => {}
        }
    }
    blocks
}

fn no_raw(request: &RawRequest) -> Result<Understood, String> {
    Err(format!("{} {} is not read here", request.method, request.target))
}

fn with_rules(rules: &str) -> String {
    format!("{}rules:\n{rules}", Kind::Policy.head())
}

/// The decision of the example that has `word` in it.
fn decision(word: &str, request: &str) -> Decision {
    let (_, text) = blocks().into_iter().find(|(_, text)| text.contains(word)).expect(word);
    let policy = Policy::parse(&if text.starts_with("- ") { with_rules(&text) } else { text }).unwrap();
    let test = PolicyTest::parse(&format!("{}mustAllow:\n- {request}\n", Kind::PolicyTest.head())).unwrap();
    let Asked::Understood(understood) = &test.cases[0].asked else { panic!("{request}") };
    let (subject, options) = (&test.cases[0].subject, &understood.options);
    policy.decide(subject, "shop", &understood.action, &Facts::new(options))
}

#[test]
fn every_example_holds() {
    let (mut policies, mut fragments, mut tests) = (0, 0, 0);
    let mut above: Option<Policy> = None;
    for (line, text) in blocks() {
        if text.contains("\nkind: PolicyTest\n") {
            Kind::PolicyTest.schema().check(&json(&text)).unwrap_or_else(|why| panic!("block at line {line}: {why}"));
            let test = PolicyTest::parse(&text).unwrap_or_else(|error| panic!("block at line {line}: {error}"));
            let policy = above.as_ref().unwrap_or_else(|| panic!("the test at line {line} follows no policy"));
            let report = run(policy, &test, &no_raw);
            assert!(report.holds(), "block at line {line}: {report}");
            tests += 1;
            continue;
        }
        let document = if text.contains("\nkind: Policy\n") {
            policies += 1;
            text
        } else {
            assert!(text.starts_with("- "), "the block at line {line} is neither a document nor rules");
            fragments += 1;
            with_rules(&text)
        };
        Kind::Policy.schema().check(&json(&document)).unwrap_or_else(|why| panic!("block at line {line}: {why}"));
        above = Some(Policy::parse(&document).unwrap_or_else(|error| panic!("block at line {line}: {error}")));
    }
    assert!(policies >= 4 && fragments >= 2 && tests >= 5, "{policies} policies, {fragments} fragments, {tests} tests");
}

#[test]
fn all_but_secrets_is_one_line() {
    let (_, text) = blocks().into_iter().find(|(_, text)| text.contains("all-but-secrets")).expect("the example");
    let rules: Vec<&str> = text.lines().filter(|line| line.starts_with("- ")).collect();
    let [secrets, rest] = rules.as_slice() else { panic!("{text}") };
    assert!(secrets.contains("resources: [secrets]") && secrets.contains("ask:"), "{secrets}");
    assert_eq!(*rest, "- {name: rest, allow: {}}");
}

#[test]
fn what_the_text_says_of_asks_and_lists_and_limits() {
    let asked = decision("name: shop}", "delete namespaces shop").terms.expect("terms");
    assert_eq!((asked.count, asked.four_eyes, asked.ttl_seconds), (2, true, 600));
    let (_, text) = blocks().into_iter().find(|(_, text)| text.contains("all-but-secrets")).unwrap();
    assert!(!text.contains("ttl") && !text.contains("count"));
    let asked = decision("all-but-secrets", "get secrets db -n shop").terms.expect("terms");
    assert_eq!((asked.count, asked.four_eyes, asked.ttl_seconds), (1, false, 600), "what is left out");

    let filtered = |request: &str| decision("not-the-root", request).obligations.filter;
    assert!(filtered("list secrets -n shop") && filtered("list secrets -A") && !filtered("get secrets db -n shop"));
    let collection = decision("preview-*", "deletecollection pods -A");
    assert_eq!(collection.effect, Effect::Deny);

    let limits = decision("preview-*", "delete pods web -n preview-7").obligations.limits.expect("limits");
    let rate = limits.rate.expect("a rate");
    assert_eq!((rate.requests, rate.per_seconds), (60, 60));
    let blast = limits.blast.expect("a blast limit");
    assert_eq!((blast.deletes, blast.per_seconds), (20, 600));
    let BlastVerdict::Ask(terms) = blast.then else { panic!("{blast:?}") };
    assert_eq!((terms.count, terms.approver_groups), (2, vec!["sre".to_owned()]));
}

/// `GUIDE` is what people read in ten minutes.
#[test]
fn it_is_read_in_ten_minutes() {
    // 200 words a minute, code and all.
    let words = GUIDE.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count();
    assert!(words <= 2_400, "{words} words");
}
