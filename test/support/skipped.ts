import { productionMissing } from "./servers.ts";

/** Run by mocha after all tests: what was not tested is said where nobody overlooks it. */
export function mochaGlobalTeardown(): void {
  if (productionMissing === undefined) return;
  const line = "!".repeat(78);
  process.on("exit", () => {
    console.log(
      `\n${line}\n!! The production stack was NOT tested: ${productionMissing}.\n` +
        `!! PARLEY_TEST_REQUIRE_PRODUCTION=1 makes this a failure.\n${line}`,
    );
  });
}
