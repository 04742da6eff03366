/** What a web server asks an application to be (FastCGI 1.0, sections 5.1 and 6). */

/** The numbers of BEGIN_REQUEST. */
export const Role = { RESPONDER: 1, AUTHORIZER: 2, FILTER: 3 } as const;
export type Role = (typeof Role)[keyof typeof Role];

/** As libfcgi names it in the variable FCGI_ROLE. */
export type RoleName = keyof typeof Role;

/** The name of a role; any other number counts as a Responder's. */
export function roleName(role: number): RoleName {
  if (role === Role.AUTHORIZER) return 'AUTHORIZER';
  return role === Role.FILTER ? 'FILTER' : 'RESPONDER';
}
