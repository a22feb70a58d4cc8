//! The forms of the statements: the one list from which the help is printed and from which a wrong line is told what is allowed.

/// One form of a statement.
pub(super) struct Form {
    /// How it is written; capitals stand for what the writer chooses.
    pub(super) form: &'static str,
    /// What it does, in a line.
    pub(super) does: &'static str,
    /// One that is complete, after `create cluster shop`.
    pub(super) example: &'static str,
}

const fn form(form: &'static str, does: &'static str, example: &'static str) -> Form {
    Form { form, does, example }
}

/// Statements of one kind under their heading.
pub(super) struct Chapter {
    pub(super) heading: &'static str,
    pub(super) forms: &'static [Form],
}

/// All forms in the order of the help.
pub(super) const CHAPTERS: &[Chapter] = &[
    Chapter {
        heading: "The opening: what exists before anything happens",
        forms: &[
            form(
                "config PATH = VALUE",
                "a value of the configuration (else as infra/hubward.example.toml); later the app starts again with it",
                "config mode = \"approve\"",
            ),
            form(
                "hub with N ingress addresses",
                "public addresses of the hub's firewall beyond its first, as the network team attaches them",
                "hub with 3 ingress addresses",
            ),
            form(
                "app is not installed",
                "Azure runs without Hubward until `start app`",
                "app is not installed",
            ),
        ],
    },
    Chapter {
        heading: "Clusters and all else in Azure",
        forms: &[
            form(
                "create cluster NAME [SHAPE]..",
                "a person creates a cluster with network and resource group rg-NAME; it takes minutes",
                "create cluster legacy kubenet tag team = \"blue\"",
            ),
            form("delete THING", "a person deletes it by an ARM call", "delete shop"),
            form(
                "delete group NAME",
                "a person deletes a resource group with all that is in it",
                "delete group rg-shop",
            ),
            form(
                "edit THING set PATH = JSON",
                "the document changes at once, and no event tells of it",
                "edit shop default route set properties.nextHopIpAddress = \"10.9.9.9\"",
            ),
            form(
                "edit THING remove PATH",
                "the same, and the field is gone",
                "edit shop subnet remove properties.routeTable",
            ),
            form(
                "expose NAME port PORT [HOW]",
                "a service of type LoadBalancer in the cluster",
                "expose shop port 443",
            ),
            form(
                "put ID JSON",
                "a person writes a resource by an ARM call",
                "put /resourceGroups/lab {\"location\": \"westeurope\"}",
            ),
        ],
    },
    Chapter {
        heading: "Events and messages",
        forms: &[
            form(
                "withhold events [of THING]",
                "Event Grid delivers nothing of it (of anything) until they are released",
                "withhold events of shop",
            ),
            form(
                "release events",
                "what was withheld comes now, in no order",
                "release events",
            ),
            form(
                "send event of NAME again",
                "the event of the cluster's creation comes once more",
                "send event of shop again",
            ),
            form(
                "forge create of NAME",
                "an event that is well formed and not true",
                "forge create of shop",
            ),
            form(
                "forge delete of NAME",
                "the same for a deletion",
                "forge delete of shop",
            ),
        ],
    },
    Chapter {
        heading: "Time and trouble",
        forms: &[
            form("advance DURATION", "time passes: 90s, 10m, 2h, 1d", "advance 2h"),
            form(
                "wait until NAME is STATE",
                "goes on once the cluster is in this state, of which settling counts as wired; fails after 12 hours",
                "wait until shop is wired",
            ),
            form(
                "wait until THING exists",
                "goes on once Azure has finished it",
                "wait until shop exists",
            ),
            form(
                "wait until THING is gone",
                "goes on once Azure has no such resource",
                "wait until shop is gone",
            ),
            form(
                "wait until quiet",
                "goes on once nothing is under way in Azure or in the app",
                "wait until quiet",
            ),
            form(
                "kill handler",
                "the process dies in the middle of what it does; the host starts it again",
                "kill handler",
            ),
            form(
                "kill machine",
                "host and process are gone; another machine starts, and messages come when their leases end",
                "kill machine",
            ),
            form(
                "fail next METHOD of KIND with STATUS CODE",
                "the next such call to ARM is refused with this status and error code",
                "fail next PUT of subnet with 409 AnotherOperationInProgress",
            ),
            form(
                "fail next METHOD of KIND later with CODE",
                "the next such write is accepted, and its operation fails",
                "fail next PUT of rules later with InternalServerError",
            ),
            form(
                "fail next METHOD of KIND by losing the answer",
                "the next such call is carried out, and nobody hears of it",
                "fail next PUT of peering by losing the answer",
            ),
            form(
                "stop app",
                "nobody answers Event Grid and the queue any more",
                "stop app",
            ),
            form(
                "start app",
                "it runs (again); its first start is its installation",
                "start app",
            ),
            form(
                "timer fires",
                "DriftTimer runs now; it also runs on its schedule while time passes",
                "timer fires",
            ),
        ],
    },
    Chapter {
        heading: "Commands",
        forms: &[form(
            "run hubward WORDS",
            "runs the command as a person would; a cluster's name stands for its id, event:NAME for its creation's event",
            "run hubward plan --cluster shop",
        )],
    },
    Chapter {
        heading: "What should hold",
        forms: &[
            form(
                "walk FROM -> TO [VERDICT]",
                "sends a packet through Azure as it is and shows its way",
                "walk shop -> api.partner.example:443 arrives from egress",
            ),
            form(
                "expect state of NAME = STATE",
                "what the app says of the cluster",
                "expect state of shop = wired",
            ),
            form(
                "expect egress of NAME = PROOF",
                "holds, unknown or broken, as the app has proven it",
                "expect egress of shop = holds",
            ),
            form(
                "expect reach of NAME = PROOF",
                "the same",
                "expect reach of shop = holds",
            ),
            form(
                "expect finding CODE of NAME",
                "the app has told people this",
                "expect finding older_than_installation of shop",
            ),
            form(
                "expect no finding CODE of NAME",
                "it has not",
                "expect no finding hub_down of shop",
            ),
            form(
                "expect no findings of NAME",
                "it has told nothing",
                "expect no findings of shop",
            ),
            form("expect exit NUMBER", "how the last command ended", "expect exit 1"),
            form(
                "expect output has TEXT",
                "what the last command printed",
                "expect output has \"route-table\"",
            ),
            form(
                "expect output lacks TEXT",
                "what it did not print",
                "expect output lacks \"password\"",
            ),
            form(
                "expect count COUNTER [since mark] = NUMBER",
                "the app's calls to ARM; also <= and >=",
                "expect count firewall updates since mark <= 1",
            ),
            form(
                "expect field THING PATH = JSON",
                "what Azure shows",
                "expect field shop subnet properties.provisioningState = \"Succeeded\"",
            ),
            form("expect THING exists", "Azure has it", "expect shop exists"),
            form("expect THING is gone", "Azure does not have it", "expect shop is gone"),
            form(
                "expect no change since mark",
                "all of Azure is as it was, etags aside",
                "expect no change since mark",
            ),
            form(
                "expect nothing was cut",
                "no destination that a cluster reached at any moment was lost, but for those that no rule allows",
                "expect nothing was cut",
            ),
            form("mark", "remembers Azure and the counts for later", "mark"),
        ],
    },
];

/// What the capitals stand for.
pub(super) const MEANINGS: &[(&str, &str)] = &[
    (
        "THING",
        "an ARM id (from /subscriptions, or shorter from /resourceGroups), NAME, or NAME with one of: network, subnet, \
         route table, default route, return route, peering, hub peering, application address; or hub with one of: network, firewall, policy, \
         rules, nat gateway, egress address",
    ),
    ("FROM", "NAME (one of its nodes) or an address on the internet"),
    (
        "TO",
        "HOST:PORT, ADDRESS:PORT, api of NAME:PORT (the API server), service of NAME:PORT (where it was exposed last) or \
         ingress of NAME:PORT (its address on the hub)",
    ),
    (
        "HOW",
        "internally, internally at ADDRESS, at application address (the one that Hubward has made for it); else under a \
         public address that AKS makes",
    ),
    (
        "VERDICT",
        "arrives, arrives from egress, arrives from ADDRESS, is dropped, is dropped at firewall",
    ),
    (
        "KIND",
        "cluster, group, network, subnet, peering, route table, route, rules, firewall, public ip, role",
    ),
    (
        "SHAPE",
        "one or more of: kubenet, kubenet with own table, overlay, private, in managed network, in network of NAME, with two \
         pools, with user assigned identity, with service principal ID, for callers from NETWORK, tag NAME = TEXT; without any it is Azure CNI with an own network",
    ),
    (
        "STATE",
        "observed, not_eligible, pending_approval, prepared, waiting, wired, settling, broken, failed, offboarding, offboarded",
    ),
    ("COUNTER", "reads, writes, firewall updates, throttled"),
    ("METHOD", "GET, PUT, POST, DELETE"),
    ("PATH", "names parted by dots, as properties.nextHopIpAddress"),
];

/// The forms of a statement that begins with this word, as one line.
pub(super) fn allowed(verb: &str) -> String {
    let forms: Vec<&str> = all().map(|form| form.form).filter(|form| first(form) == verb).collect();
    if forms.is_empty() { verbs() } else { forms.join(" | ") }
}

/// Every word that a statement may begin with.
pub(super) fn verbs() -> String {
    let mut verbs: Vec<&str> = all().map(|form| first(form.form)).collect();
    verbs.sort_unstable();
    verbs.dedup();
    verbs.join(", ")
}

/// All forms.
pub(super) fn all() -> impl Iterator<Item = &'static Form> {
    CHAPTERS.iter().flat_map(|chapter| chapter.forms)
}

/// What a capital word stands for.
pub(super) fn meaning(word: &str) -> &'static str {
    let found = MEANINGS.iter().find(|(name, _)| *name == word);
    found.map_or("", |(_, meaning)| meaning)
}

fn first(form: &str) -> &str {
    form.split(' ').next().unwrap_or_default()
}
