import { randomUUID } from "node:crypto";
import type {
  Application,
  CreateApplicationRequest,
  CreateApplicationResponse,
  DeleteApplicationRequest,
  DeleteApplicationResponse,
  GetApplicationRequest,
  GetApplicationResponse,
  ListApplicationsRequest,
  ListApplicationsResponse,
  UpdateApplicationRequest,
  UpdateApplicationResponse,
} from "../../gen/parley/v1/application.ts";
import { isUnavailable, ParleyError } from "../errors.ts";
import type { Call, Core } from "./core.ts";
import { deleteWhole } from "./deletion.ts";
import { digestOf, requestIdOf } from "./jobs.ts";
import { decodePageToken, encodePageToken, pageSizeOf } from "./pages.ts";

export function applicationNotFound(token: string): ParleyError {
  return new ParleyError("APPLICATION_NOT_FOUND", `there is no application ${token}`);
}

export async function createApplication(
  core: Core,
  request: CreateApplicationRequest,
  call: Call,
): Promise<CreateApplicationResponse> {
  const name = request.application!.name;
  // Without its counter an application is of no use, so it is not begun while that cannot be made.
  await core.numbering.check();
  const created: Application = {
    token: randomUUID(),
    name,
    chatsCount: 0,
    countTime: undefined,
    createTime: new Date(call.nowMs),
    updateTime: new Date(call.nowMs),
  };
  const digest = digestOf(name);
  const id = requestIdOf(request);
  const key = id === undefined ? undefined : { id, digest };
  const result = await core.store.insertApplication(created, key);
  if (result.replayed && result.digest !== digest) {
    throw new ParleyError("REQUEST_ID_REUSED", "request_id was used before with another name");
  }
  if (result.deleted) throw applicationNotFound(result.application.token);
  const { application, replayed } = result;
  // From here on the application exists: should its counter not be set now, its first chat sets it.
  await core.numbering.value({ applicationToken: application.token }).catch((error: unknown) => {
    if (!isUnavailable(error)) throw error;
  });
  return { application, replayed };
}

export async function getApplication(
  core: Core,
  request: GetApplicationRequest,
  call: Call,
): Promise<GetApplicationResponse> {
  const application = await core.store.findApplication(request.applicationToken, call.signal);
  if (application === undefined) throw applicationNotFound(request.applicationToken);
  return { application };
}

export async function listApplications(
  core: Core,
  request: ListApplicationsRequest,
  call: Call,
): Promise<ListApplicationsResponse> {
  const limit = pageSizeOf(request.pageSize);
  const after = decodePageToken(request.pageToken, "applications") ?? 0;
  const { signal } = call;
  const found = await core.store.listApplications({ after, limit: limit + 1, signal });
  const page = found.slice(0, limit);
  const more = found.length > limit;
  return {
    applications: page.map((one) => one.application),
    nextPageToken: more ? encodePageToken(page[page.length - 1]!.position, "applications") : "",
  };
}

export async function updateApplication(
  core: Core,
  request: UpdateApplicationRequest,
  call: Call,
): Promise<UpdateApplicationResponse> {
  const { token, name } = request.application!;
  const paths = request.updateMask ?? [];
  const named = paths.length === 0 || paths.includes("name") || paths.includes("*");
  const application = named
    ? await core.store.updateApplication(token, { name, updateTime: new Date(call.nowMs) })
    : await core.store.findApplication(token, call.signal);
  if (application === undefined) throw applicationNotFound(token);
  return { application };
}

export async function deleteApplication(
  core: Core,
  request: DeleteApplicationRequest,
  call: Call,
): Promise<DeleteApplicationResponse> {
  const { applicationToken, force } = request;
  const known = (await core.store.findApplication(applicationToken, call.signal)) !== undefined;
  const step = { known, force, now: new Date(call.nowMs) };
  if (await deleteWhole(core, { applicationToken }, step)) return {};
  throw applicationNotFound(applicationToken);
}
