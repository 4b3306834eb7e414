/** RFC 5424 severities, from the least to the most severe. */
const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];

/** Whether a message is at least as severe as what the client wants. */
export function isSevere(level: string, least: string): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf(least);
}
