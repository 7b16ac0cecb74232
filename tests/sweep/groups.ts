/**
 * All groups of the sweep, in the order in which they run.
 *
 * @module
 */
import type { Group } from "./outcome.ts";
import { readingGroups } from "./reading.ts";
import { sendingGroups } from "./sending.ts";

/**
 * Makes all groups. What waits for a clock comes last in its part, so that it can run together.
 *
 * @returns The groups
 */
export function allGroups(): Group[] {
  const groups = [...sendingGroups(), ...readingGroups()];
  return [...groups.filter(({ slow }) => !slow), ...groups.filter(({ slow }) => slow)];
}
