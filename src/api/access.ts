import type { Scope } from "./keys.ts";

/** What a call needs to be let in: a scope, and a key that reaches the application it is about. */
export interface Access<Request> {
  scope: Scope;
  /** The application that the request names; undefined for calls that are about all of them. */
  applicationOf: ((request: Request) => string | undefined) | undefined;
}

function accessTo(scope: Scope) {
  /** About the application of its field `application_token`. */
  const one: Access<{ applicationToken: string }> = {
    scope,
    applicationOf: (request) => request.applicationToken,
  };
  /** About no single application, so that a key that is bound to some does not reach it. */
  const all: Access<unknown> = { scope, applicationOf: undefined };
  /** About an application that the request names elsewhere. */
  const at = <Request>(
    applicationOf: (request: Request) => string | undefined,
  ): Access<Request> => ({ scope, applicationOf });
  return { one, all, at };
}

export const read = accessTo("read");
export const write = accessTo("write");
