import type { DatasetGates } from "../../schemas/dataset.ts";

export interface GateFault {
  readonly gate: keyof DatasetGates;
  readonly message: string;
}

interface Figures {
  readonly read: number;
  /** Each with its rows, or how many there are. */
  readonly splits: readonly { readonly rows: number | readonly unknown[] }[];
  readonly piiRows: number;
}

/** Which gates a result does not meet. */
export function gateFaults(gates: DatasetGates | undefined, { read, splits, piiRows }: Figures): GateFault[] {
  const { minRows, maxDropShare, maxPiiRows } = gates ?? {};
  const rows = splits.reduce(
    (sum, split) => sum + (typeof split.rows === "number" ? split.rows : split.rows.length),
    0,
  );
  const faults: GateFault[] = [];
  if (minRows !== undefined && rows < minRows) {
    faults.push({ gate: "minRows", message: `${rows} rows are left; at least ${minRows} are asked for` });
  }
  const share = read === 0 ? 0 : (read - rows) / read;
  if (maxDropShare !== undefined && share > maxDropShare) {
    const percent = (value: number) => `${(value * 100).toFixed(1)} %`;
    faults.push({
      gate: "maxDropShare",
      message: `${percent(share)} of the rows were dropped; at most ${percent(maxDropShare)} may be`,
    });
  }
  if (maxPiiRows !== undefined && piiRows > maxPiiRows) {
    faults.push({
      gate: "maxPiiRows",
      message: `${piiRows} rows hold personal data or keys; at most ${maxPiiRows} may`,
    });
  }
  return faults;
}
