import { SlipwayError } from "../errors.ts";
import type { SourceCredentials } from "./types.ts";

/**
 * The credentials that a Secret holds for a source, under the names of the field's own tools:
 * `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` for S3; `HF_TOKEN` for the Hub; `token` for the
 * Hub and `https://`.
 * @throws SlipwayError SecretIncomplete naming the keys that are missing
 */
export function credentialsOf(
  reference: string,
  secretName: string,
  data: Readonly<Record<string, string>>,
): SourceCredentials {
  const value = (key: string) => data[key]?.trim() || undefined;
  if (reference.startsWith("s3://")) {
    const accessKeyId = value("AWS_ACCESS_KEY_ID");
    const secretAccessKey = value("AWS_SECRET_ACCESS_KEY");
    const sessionToken = value("AWS_SESSION_TOKEN");
    if (accessKeyId === undefined || secretAccessKey === undefined)
      throw incomplete(secretName, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    return {
      type: "s3",
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
    };
  }
  const hub = reference.startsWith("hf://");
  const token = (hub ? value("HF_TOKEN") : undefined) ?? value("token");
  if (token === undefined) throw incomplete(secretName, hub ? "HF_TOKEN" : "token");
  return { type: "bearer", token };
}

function incomplete(secretName: string, keys: string): SlipwayError {
  return new SlipwayError("SecretIncomplete", `Secret ${secretName} has no ${keys}`, {
    hint: `add ${keys} to the Secret's data`,
  });
}
