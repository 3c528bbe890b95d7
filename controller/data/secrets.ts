/*
 * Keys, by what their issuers have published of them.
 */

/** By prefix. */
const FORMATS = [
  // OpenAI, Anthropic and others who have followed them: sk-…, sk-proj-…, sk-ant-api03-…
  "sk-[A-Za-z0-9_-]{20,}",
  // Stripe, live secret and restricted keys (docs.stripe.com/keys); those for tests open nothing.
  "[rs]k_live_[A-Za-z0-9]{16,}",
  // GitHub (changelog of 2021-03-31): five types of 36 characters, up to 255 in all; fine-grained ones.
  "gh[oprsu]_[A-Za-z0-9_]{36,251}",
  "github_pat_[A-Za-z0-9_]{40,}",
  // GitLab: 20 characters, or longer ones that are followed by what tells the cell, length and checksum.
  "glpat-[A-Za-z0-9_-]{20,300}(?:\\.[0-9a-z]{2}\\.?[0-9a-z]{7,9})?",
  // Slack (docs.slack.dev/authentication/tokens): of bots, users, apps and workspaces.
  "xox[abcdeprs]-[A-Za-z0-9%-]{10,}",
  "xapp-[0-9]-[A-Za-z0-9-]{10,}",
  // AWS (IAM, unique identifiers): access keys for long and for a short time.
  "A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])",
  // Google API keys have 39 characters.
  "AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])",
  "hf_[A-Za-z0-9]{30,}",
  // JWT (RFC 7519): a JSON object in Base64 at its head, signed.
  "eyJ[A-Za-z0-9_-]{10,}\\.[A-Za-z0-9_-]{10,}\\.[A-Za-z0-9_-]{10,}",
];

/** Nothing begins inside of another: so a long text of beginnings is looked through once, and not from each of them. */
const TOKEN = new RegExp(`(?<![A-Za-z0-9_-])(?:${FORMATS.join("|")})`, "g");

/** A part of each of the formats. */
const PARTS = ["_", "sk-", "glpat-", "xox", "xapp-", "AKIA", "ASIA", "AIza", "eyJ"];

export const tokens = {
  pattern: TOKEN,
  possible: (text: string) => PARTS.some((part) => text.includes(part)),
  // sk-learn-compatible-estimators
  holds: (text: string) => !/^(?:sk|xox.)-/.test(text) || /[0-9]/.test(text),
};

/**
 * Private keys as PEM (RFC 7468), of OpenSSH and of OpenPGP (RFC 9580). What stands between its lines ends at the next
 * line of that kind, whatever that is: so a text of nothing but beginnings is looked through once.
 */
export const privateKeys = {
  pattern:
    /-----BEGIN (?:[A-Z]{2,12} )?PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-(?!----)){32,50000}-----END (?:[A-Z]{2,12} )?PRIVATE KEY(?: BLOCK)?-----/g,
  possible: (text: string) => text.includes("PRIVATE KEY"),
  // No place where one goes: "…", "<your key>".
  holds: (text: string) => /[A-Za-z0-9+/=]{32}/.test(text),
};
