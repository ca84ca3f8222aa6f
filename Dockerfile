# One image for every command: api, worker, scheduler, migrate, doctor, and so on.
FROM node:24-slim

WORKDIR /app
COPY package.json package-lock.json ./
# No install script is wanted: the one that matters fetches a second Node, for machines whose own is
# too old. This image's own runs everything.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && npm cache clean --force
COPY gen ./gen
COPY src ./src

ENV NODE_ENV=production
# Not root; the image brings this account. It writes nothing below /app.
USER node
ENTRYPOINT ["node", "src/main.ts"]
CMD ["api"]
