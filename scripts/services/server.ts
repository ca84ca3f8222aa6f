import type { Place, PortName } from "./place.ts";

/** One server process. A cluster is several of these, each with a name of its own. */
export interface Server {
  name: string;
  /** The ports it listens at; the first is for clients. */
  ports: PortName[];
  /** Of a cluster whose nodes must start one after the other. */
  cluster?: Cluster;
  /** Writes settings and lays out the data where there is none, then starts; gives the pid. */
  launch(place: Place, folder: string): Promise<number>;
  /** Throws until it serves clients. */
  check(place: Place): Promise<void>;
}

export interface Cluster {
  name: string;
  /** The names of its nodes, in the order in which they may start. */
  order(place: Place): Promise<string[]>;
}
