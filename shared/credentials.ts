/** The user and the password in a URL, as RFC 3986 has them: up to the last @ before its path. */
const userinfo = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#"'<>]*@/gi

/** Returns a text in which every URL has `***` for its user and password: what is said and logged, anybody may read. */
export function hideCredentials(text: string): string {
  return text.replace(userinfo, '$1***@')
}

/** Returns a text whose URLs have no user and no password. */
export function dropCredentials(text: string): string {
  return text.replace(userinfo, '$1')
}
