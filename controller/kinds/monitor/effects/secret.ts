import { SlipwayError } from "../../../errors.ts";
import type { SecretContent, SecretReader } from "../../../kube/secrets.ts";
import type { Tenant } from "../../endpoint.ts";

/**
 * The value of a Secret's key, read as the tenant, with where it may go.
 * @throws SlipwayError of SecretReader; SecretIncomplete
 */
export async function secretFor(
  ref: { readonly name: string; readonly key: string },
  { namespace, serviceAccountName }: Tenant,
  secrets: SecretReader,
): Promise<{ name: string; content: SecretContent; value: string }> {
  const content = await secrets.read(namespace, ref.name, serviceAccountName);
  const value = content.data[ref.key]?.trim();
  const name = `${namespace}/${ref.name}`;
  if (!value) {
    throw new SlipwayError("SecretIncomplete", `Secret ${name} has no key ${ref.key}`, {
      hint: "add the key, or set secretRef.key",
    });
  }
  return { name, content, value };
}
