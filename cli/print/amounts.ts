/** Formats a sum of cores without its rounding error: 5.1 may be 5.0999999999999996. */
export const formatCores = (cores: number): string => `${Math.round(cores * 100) / 100}`

export function formatDuration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}

/** Formats a rough estimate: whole seconds, at least one. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds))
  return whole < 60 ? `${whole} s` : formatDuration(whole * 1000)
}

/** Formats the time since `time` in one unit: `12 s`, `3 min`, `5 h`, `4 d`. */
export function formatAge(time: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}

/** Formats a count with separated thousands: `12,000`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}

/** Formats by how much a clock is ahead of Redis', or behind it. */
export function formatClock(offsetMs: number): string {
  return `${formatDuration(Math.abs(offsetMs))} ${offsetMs < 0 ? 'behind' : 'ahead of'} Redis`
}
