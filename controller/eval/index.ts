export { type Ask, requestDigest } from "./answers.ts";
export type { BundledModel, BundledTarget, SideBundle, SuiteBundle } from "./bundle.ts";
export { DEFAULT_GATE } from "./gates.ts";
export type * from "./result.ts";
export { caseKey } from "./result.ts";
export { type Progress, type RunDependencies, type RunInput, runEvaluation } from "./run.ts";
