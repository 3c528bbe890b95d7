/** What the test harness has started; a test that needs it fails with the name of what is missing. */
export function required(name: string): string {
  const value = process.env[name];
  if (!value) {
    throw new Error(
      `${name} is not set: these tests run on a real cluster and forge, start them with the harness`,
    );
  }
  return value;
}
