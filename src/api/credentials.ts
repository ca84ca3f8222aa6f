import type { SecureContextOptions } from "node:tls";
import { ServerCredentials } from "@grpc/grpc-js";

/**
 * Credentials whose certificates can be replaced while the server listens: new connections get the
 * new ones, and those that are open stay as they are.
 */
export class TlsCredentials extends ServerCredentials {
  constructor(context: SecureContextOptions) {
    const asked = context.ca !== undefined;
    super({ requestCert: asked, rejectUnauthorized: asked }, context);
  }

  replace(context: SecureContextOptions): void {
    this.updateSecureContextOptions(context);
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}
