import { isIP } from "node:net";
import { checkServerIdentity } from "node:tls";
import {
  type ChannelCredentials,
  type ChannelOptions,
  credentials,
  experimental,
} from "@grpc/grpc-js";

/** PEM texts. */
export interface Tls {
  /** The authorities that servers' certificates come from; without it, the system's. */
  ca?: Buffer | string;
  /** What this caller shows, where the server asks for it (mutual TLS). */
  cert?: Buffer | string;
  key?: Buffer | string;
}

const SCHEME = "parley";
const ADDRESS = /^(\[[0-9a-fA-F:.]+\]|[^:,/\s]+):(\d{1,5})$/;

/** One name for gRPC that leads to all of the addresses, each `host:port`. */
export function targetOf(addresses: readonly string[]): string {
  const wrong = addresses.find((address) => !ADDRESS.test(address));
  if (wrong !== undefined) throw new TypeError(`address: "${wrong}" is not host:port`);
  if (addresses.length === 0) throw new TypeError("address: there is none");
  return `${SCHEME}:${addresses.join(",")}`;
}

/**
 * gRPC compares every certificate with one name, that of its target. Here a server is right when
 * its certificate is for any of the addresses.
 */
export function credentialsOf(
  addresses: readonly string[],
  tls: Tls | undefined,
): { credentials: ChannelCredentials; options: ChannelOptions } {
  if (tls === undefined) return { credentials: credentials.createInsecure(), options: {} };
  const [ca, key, cert] = [tls.ca, tls.key, tls.cert].map((pem) =>
    pem === undefined ? null : Buffer.from(pem as string),
  );
  const hosts = addresses.map((address) => ADDRESS.exec(address)![1]!.replace(/[[\]]/g, ""));
  const verify = {
    checkServerIdentity: (_: string, certificate: Parameters<typeof checkServerIdentity>[1]) => {
      const faults = hosts.map((host) => checkServerIdentity(host, certificate));
      return faults.includes(undefined) ? undefined : faults[0];
    },
  };
  // Only names may stand in TLS's server name, and Node warns of an address.
  const named = hosts.find((host) => isIP(host) === 0) ?? "localhost";
  const options = { "grpc.ssl_target_name_override": named };
  return { credentials: credentials.createSsl(ca, key, cert, verify), options };
}

/** Resolves each of several addresses as gRPC resolves one, names included, and joins the ends. */
class AddressesResolver implements experimental.Resolver {
  private readonly parts: experimental.Resolver[];
  private readonly ends: (experimental.Endpoint[] | undefined)[] = [];

  constructor(
    target: experimental.GrpcUri,
    listener: experimental.ResolverListener,
    options: ChannelOptions,
  ) {
    const paths = target.path.split(",");
    const failed = new Set<number>();
    this.parts = paths.map((path, at) =>
      experimental.createResolver(
        { scheme: "dns", path },
        (result, attributes, _config, note) => {
          // Where a name cannot be resolved now, what it was before is the best guess.
          if (result.ok) this.ends[at] = result.value;
          else failed.add(at);
          const known = this.ends.flatMap((ends) => ends ?? []);
          if (known.length > 0) {
            return listener(experimental.statusOrFromValue(known), attributes, null, note);
          }
          return failed.size < paths.length || listener(result, attributes, null, note);
        },
        options,
      ),
    );
  }

  updateResolution(): void {
    for (const part of this.parts) part.updateResolution();
  }

  destroy(): void {
    for (const part of this.parts) part.destroy();
  }

  static getDefaultAuthority(target: experimental.GrpcUri): string {
    return target.path.split(",")[0]!;
  }
}

experimental.registerResolver(SCHEME, AddressesResolver);
