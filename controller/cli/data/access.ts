import { SlipwayError } from "../../errors.ts";
import type { OutsideSource } from "../../kinds/dataset/resolution.ts";
import { parseAllowedHosts } from "../../kube/allowed-hosts.ts";
import { credentialsOf, type SourceAccess } from "../../sources/index.ts";

/** Where the keys of a Secret come from on a laptop. */
const VARIABLES = {
  AWS_ACCESS_KEY_ID: "AWS_ACCESS_KEY_ID",
  AWS_SECRET_ACCESS_KEY: "AWS_SECRET_ACCESS_KEY",
  AWS_SESSION_TOKEN: "AWS_SESSION_TOKEN",
  HF_TOKEN: "HF_TOKEN",
  token: "SLIPWAY_TOKEN",
} as const;

/**
 * How a source is read without a cluster: its Secret's keys are environment variables, and go to the hosts in
 * SLIPWAY_ALLOWED_HOSTS alone. A manifest that somebody else wrote must not send them elsewhere.
 * @throws SlipwayError KeyMissing
 */
export function localAccess(
  { url, endpoint, region, secretRef, name }: OutsideSource,
  env: NodeJS.ProcessEnv = process.env,
): SourceAccess {
  const place = {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
  };
  if (!secretRef) return place;
  const data: Record<string, string> = {};
  for (const [key, variable] of Object.entries(VARIABLES)) {
    const value = env[variable];
    if (value !== undefined && value !== "") data[key] = value;
  }
  if (Object.keys(data).length === 0) {
    throw new SlipwayError("KeyMissing", `the source ${name} has a secretRef, and none of its keys is set`, {
      hint: `set ${Object.values(VARIABLES).join(", ")}, whichever it needs`,
    });
  }
  const credentials = credentialsOf(url, "the environment", data);
  return { ...place, credentials, allowedHosts: parseAllowedHosts(env.SLIPWAY_ALLOWED_HOSTS ?? "") };
}
