import type { Measured } from "./measurement.ts";

const WIDTHS = [16, 12, 12, 12, 8, 12, 6];

export function headOf(): string {
  return pad(["name", "value", "unit", "floor", "ratio", "goal", "holds"]);
}

export function rowOf({ name, value, unit, floor, ratio, goal, ok, note }: Measured): string {
  const cells = [name, digits(value), unit, digits(floor), digits(ratio), goal];
  const row = pad([...cells, ok === null ? "-" : ok ? "yes" : "NO"]);
  return note === undefined ? row : `${row}  ${note}`;
}

function pad(cells: string[]): string {
  return cells
    .map((cell, at) => cell.padEnd(WIDTHS[at]!))
    .join(" ")
    .trimEnd();
}

function digits(value: number | undefined): string {
  if (value === undefined) return "-";
  if (value >= 1_000) return Math.round(value).toLocaleString("en");
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
