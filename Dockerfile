# One image for every process; the command says which: api, worker, scheduler or migrate.
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
CMD ["node", "src/main.ts", "api"]
