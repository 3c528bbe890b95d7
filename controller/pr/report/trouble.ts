const WORDS: Readonly<Record<string, string>> = {
  BudgetExceeded: "the run's budget is used up",
  HostNotAllowed: "the key may not be sent to that host, and nothing was sent",
  InvalidSuite: "the suite cannot be run as it is",
  InvalidCase: "a case cannot be run as it is",
  MissingVariable: "a case lacks a variable of the prompt",
  VariableType: "a case's variable has the wrong type",
  NoCases: "the suite has no cases",
  JudgeFailed: "the judge could not be asked",
  JudgeGarbage: "the judge's answer makes no sense",
  ModelDeploymentNotFound: "the deployment is not there",
  ModelGarbage: "the model's endpoint does not answer as OpenAI's API does",
  ModelRateLimited: "the model's endpoint refuses so many calls",
  ModelRedirected: "the model's endpoint redirects elsewhere",
  ModelRejected: "the model's endpoint rejects the request",
  ModelTimeout: "the model's endpoint takes too long",
  ModelUnauthorized: "the model's endpoint does not accept the key",
  ModelUnavailable: "the model's endpoint does not answer",
  SecretIncomplete: "the key's Secret lacks an entry",
};

/** An error's code for somebody who reviews a pull request. */
export const inWords = (reason: string): string =>
  WORDS[reason] ?? "something failed that says nothing about the change";
