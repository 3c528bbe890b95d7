import { parentPort, workerData } from "node:worker_threads";
import { diffDataset } from "./diff.ts";
import type { DiffInput } from "./types.ts";

parentPort?.postMessage(await diffDataset(workerData as DiffInput));
