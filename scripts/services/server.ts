import type { Place, PortName } from "./place.ts";

/** One server process. A cluster would be several of these, each with a name of its own. */
export interface Server {
  name: string;
  /** The ports it listens at; the first is for clients. */
  ports: PortName[];
  /** Writes settings and lays out the data where there is none, then starts; gives the pid. */
  launch(place: Place, folder: string): Promise<number>;
  /** Throws until it serves clients. */
  check(place: Place): Promise<void>;
}
