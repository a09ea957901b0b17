import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { PlainName } from '#shared/jail.ts'
import { Join, Joined } from '#shared/signing/join.ts'
import { inviteHost, joinHost } from '../../hosts/invitations.ts'
import type { AppDeps } from '../app-deps.ts'
import { problems } from '../http-errors.ts'

const Params = z.object({ id: PlainName })
const Invitation = z.object({ token: z.string(), expiresAt: z.iso.datetime() })

/** The route by which ops let a host join. */
export const invitationRoutes =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      '/v1/hosts/:id/invite',
      {
        schema: {
          summary: 'Make a token with which a host joins the fleet, once, within an hour',
          params: Params,
          response: { 201: Invitation, ...problems },
        },
      },
      async ({ params }, reply) => reply.code(201).send(await inviteHost(deps, params.id)),
    )
  }

/** The route by which a host joins: it has its token and no key of the fleet. */
export const joinRoutes =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      '/v1/join',
      {
        schema: {
          summary: 'Join the fleet as a host, with a token',
          security: [],
          body: Join,
          response: { 200: Joined, ...problems },
        },
      },
      async ({ body }) => {
        const joined = await joinHost(deps, body.token, body.key)
        deps.log.info({ host: joined.certificate.host }, 'a host has joined')
        return joined
      },
    )
  }
