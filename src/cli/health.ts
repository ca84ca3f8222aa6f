import { Metadata } from "@grpc/grpc-js";
import type { Command } from "commander";
import {
  HealthCheckRequest,
  HealthClient,
  healthCheckResponse_ServingStatusToJSON,
  type HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health.ts";
import { type Config, readEnv } from "../config.ts";
import { healthConnectionOf } from "../connect.ts";
import { linesTo } from "../operate/operation.ts";
import { EXIT, examplesOf, JSON_FLAG, once } from "./run.ts";

const HEALTH_TIMEOUT_MS = 2_000;

export function addHealth(program: Command): void {
  program
    .command("health")
    .description("ask the API at PARLEY_GRPC_ADDRESS whether it serves")
    .option(...JSON_FLAG)
    .addHelpText("after", examplesOf("health"))
    .action(({ json = false }: { json?: boolean }) =>
      once({ name: "health" }, readEnv(), async (config) => {
        const status = healthCheckResponse_ServingStatusToJSON(await askHealth(config));
        linesTo((line) => process.stdout.write(`${line}\n`), { json }).sum({ status }, status);
        if (status !== "SERVING") process.exitCode = EXIT.wrong;
      }),
    );
}

async function askHealth(config: Config): Promise<ServingStatus> {
  const target = config.PARLEY_GRPC_ADDRESS.replace(/^0\.0\.0\.0:/, "127.0.0.1:");
  const { credentials, options } = healthConnectionOf(config);
  const client = new HealthClient(target, credentials, options);
  const deadline = Date.now() + HEALTH_TIMEOUT_MS;
  try {
    return await new Promise((resolve, reject) => {
      const request = HealthCheckRequest.fromPartial({});
      client.check(request, new Metadata(), { deadline }, (error, answer) =>
        error === null ? resolve(answer.status) : reject(error),
      );
    });
  } finally {
    client.close();
  }
}
