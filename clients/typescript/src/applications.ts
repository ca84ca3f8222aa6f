import { randomUUID } from "node:crypto";
import {
  type Application,
  ApplicationServiceService,
  CreateApplicationRequest,
  DeleteApplicationRequest,
  GetApplicationRequest,
  ListApplicationsRequest,
  type ListApplicationsResponse,
  UpdateApplicationRequest,
} from "../../../gen/parley/v1/application.ts";
import type { CallOptions, Calls } from "./calls.ts";
import { Pages } from "./pages.ts";
import { requestOf } from "./requests.ts";

/** An application, and whether an earlier call with the same request id had created it. */
export interface CreatedApplication extends Application {
  replayed: boolean;
}

/** The tenants. */
export class Applications {
  private readonly calls: Calls;

  constructor(calls: Calls) {
    this.calls = calls;
  }

  async create(
    { name, requestId = randomUUID() }: { name: string; requestId?: string | undefined },
    options?: CallOptions,
  ): Promise<CreatedApplication> {
    const method = ApplicationServiceService.createApplication;
    const request = requestOf(CreateApplicationRequest, { application: { name }, requestId });
    const { application, replayed } = await this.calls.answer(method, request, options);
    return { ...application!, replayed };
  }

  async get(
    { applicationToken }: { applicationToken: string },
    options?: CallOptions,
  ): Promise<Application> {
    const method = ApplicationServiceService.getApplication;
    const request = requestOf(GetApplicationRequest, { applicationToken });
    return (await this.calls.answer(method, request, options)).application!;
  }

  /** All of them, as they were created. Options are those of each page's call. */
  list(
    { pageSize }: { pageSize?: number | undefined } = {},
    options?: CallOptions,
  ): Pages<Application, ListApplicationsResponse> {
    const method = ApplicationServiceService.listApplications;
    return new Pages(
      (pageToken) => {
        const request = requestOf(ListApplicationsRequest, { pageSize, pageToken });
        return this.calls.answer(method, request, options);
      },
      ({ applications }) => applications,
    );
  }

  async update(
    { applicationToken, name }: { applicationToken: string; name: string },
    options?: CallOptions,
  ): Promise<Application> {
    const method = ApplicationServiceService.updateApplication;
    const application = { token: applicationToken, name };
    const request = requestOf(UpdateApplicationRequest, { application, updateMask: ["name"] });
    return (await this.calls.answer(method, request, options)).application!;
  }

  /** For ever; with `force`, also all that is in it. */
  async delete(
    { applicationToken, force }: { applicationToken: string; force?: boolean | undefined },
    options?: CallOptions,
  ): Promise<void> {
    const method = ApplicationServiceService.deleteApplication;
    const request = requestOf(DeleteApplicationRequest, { applicationToken, force });
    const isDone = ({ reason }: { reason?: string | undefined }) =>
      reason === "APPLICATION_NOT_FOUND";
    await this.calls.unary(method, request, options, isDone);
  }
}
