import { WASM } from "./generated/wasm.ts";

/** Of WebAssembly what is used here; TypeScript has its types with those of browsers only. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { exports: unknown };
};

/** As `assembly/index.ts` has them; what is named by a `value` is an address. */
export interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly text: { readonly value: number };
  readonly shingles: { readonly value: number };
  readonly bands: { readonly value: number };
  reserve(bytes: number): void;
  shingle(length: number, ngram: number): number;
  sketch(count: number): void;
  distinct(count: number): number;
  shared(count: number): number;
  readonly block: { readonly value: number };
  readonly names: { readonly value: number };
  readonly found: { readonly value: number };
  hold(bytes: number): void;
  flatLine(start: number, fields: number): number;
}

const wasm = new WebAssembly.Module(Buffer.from(WASM, "base64"));

/** With a memory of its own. It is for shingles or for the lines of a block: both lie in the same place. */
export const instantiate = () => new WebAssembly.Instance(wasm).exports as Exports;
