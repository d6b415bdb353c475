//! Random rules of every shape that tells objects apart. A failure prints the rules: they are all there is to repeat it.

use e2e::unique;

/// A linear congruential generator (Knuth's constants): good enough to choose, and needs no crate.
pub struct Random(u64);

impl Random {
    /// Different each time.
    pub fn new() -> Self {
        Self(u64::from_str_radix(&unique(), 16).unwrap())
    }

    /// Less than `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    pub fn choose<'c>(&mut self, choices: &[&'c str]) -> &'c str {
        choices[self.below(choices.len())]
    }

    /// One to four rules. What gives, gives get, list and watch alike; what takes away may do so for one of them.
    pub fn rules(&mut self) -> String {
        (0..=self.below(4)).map(|number| self.rule(number)).collect()
    }

    fn rule(&mut self, number: usize) -> String {
        let effect =
            self.choose(&["allow: {}", "allow: {}", "allow: {}", "deny: {}", "ask: {approvers: {groups: [sre]}}"]);
        let mut fields = Vec::new();
        let mut field = |random: &mut Self, one_in: usize, choices: &[&str]| {
            if random.below(one_in) == 0 {
                fields.push(random.choose(choices).to_owned());
            }
        };
        field(self, 2, &["names: [web-1]", "names: [web-*]", "names: [root, db-1]", "names: ['*']"]);
        field(self, 3, &["namespaces: [$A]", "namespaces: [$B, kube-system]", "namespaces: ['filter-*']"]);
        field(
            self,
            3,
            &["labelSelector: {team: web}", "labelSelector: {team: db, tier: back}", "labelSelector: {tier: front}"],
        );
        field(self, 4, &["resources: [configmaps, widgets]", "resources: [secrets, namespaces, gadgets]"]);
        field(self, 6, &["risk: [read]", "risk: [read, masked]"]);
        if effect.starts_with("allow") {
            field(self, 3, &["verbs: [get, list, watch]"]);
        } else {
            field(self, 3, &["verbs: [get]", "verbs: [get, list]", "verbs: ['*']"]);
        }
        let when = match self.below(8) {
            0 => "  when: object.metadata.name.size() > 4\n",
            1 => "  when: \"!has(object.metadata.labels)\"\n",
            _ => "",
        };
        format!("- name: rule-{number}\n  match: {{{}}}\n{when}  {effect}\n", fields.join(", "))
    }
}
