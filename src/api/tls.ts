import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import type { SecureContextOptions } from "node:tls";
import type { Contents } from "./watched.ts";

export interface TlsFiles {
  certFile: string;
  keyFile: string;
  /** Where it is set, callers must have a certificate of one of these authorities. */
  clientCaFile: string | undefined;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** The files by their settings. */
export function filesOf({ certFile, keyFile, clientCaFile }: TlsFiles): Record<string, string> {
  const pair = { PARLEY_TLS_CERT_FILE: certFile, PARLEY_TLS_KEY_FILE: keyFile };
  return clientCaFile === undefined ? pair : { ...pair, PARLEY_TLS_CLIENT_CA_FILE: clientCaFile };
}

/** What TLS needs of the files, checked; its errors name the setting and quote nothing. */
export function toContext(contents: Contents): SecureContextOptions {
  const cert = contents.PARLEY_TLS_CERT_FILE!;
  const key = contents.PARLEY_TLS_KEY_FILE!;
  const ca = contents.PARLEY_TLS_CLIENT_CA_FILE;
  const [leaf] = certificatesOf("PARLEY_TLS_CERT_FILE", cert);
  if (!leaf!.checkPrivateKey(privateKeyOf(key))) {
    throw new Error("PARLEY_TLS_KEY_FILE does not fit the certificate of PARLEY_TLS_CERT_FILE");
  }
  // Without one in it, Node would take every public authority for the callers'.
  if (ca !== undefined) certificatesOf("PARLEY_TLS_CLIENT_CA_FILE", ca);
  return ca === undefined ? { cert, key } : { cert, key, ca };
}

function certificatesOf(setting: string, pem: Buffer): X509Certificate[] {
  const blocks = pem.toString("latin1").match(CERTIFICATE);
  if (blocks === null) throw new Error(`${setting} holds no certificate in PEM form`);
  return blocks.map((block, at) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw new Error(`${setting} holds a certificate that cannot be read, number ${at + 1} of it`);
    }
  });
}

function privateKeyOf(pem: Buffer): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new Error("PARLEY_TLS_KEY_FILE holds no private key in PEM form without a passphrase");
  }
}
