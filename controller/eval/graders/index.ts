export { type GradeResult, grade, graderOf } from "./grade.ts";
export { JUDGE_VERSION, judgeMessages, parseJudgement } from "./judge.ts";
export type { AssertionResult, GradeContext, Judgement } from "./types.ts";
