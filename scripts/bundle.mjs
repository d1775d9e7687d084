// bundle.mjs FOLDER HASH: the page scripts, joined and minified into FOLDER; the hash of the sources is written to its
// bundle.json. `scripts/bundle` calls it.
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { transform } from 'esbuild';
import { rollup } from 'rollup';
import ts from 'typescript';

/**
 * The files by the modules that are loaded on demand: few large files compress better than many small ones. Modules of
 * several files are in js/main.js, which all pages load, or in a file of their own if they are large.
 */
const FILES = {
  overview: ['pages/overview'],
  tasks: ['pages/tasks'],
  task: ['pages/task', 'pages/workflow'],
  failures: ['pages/failures', 'pages/failure', 'pages/workflows'],
  cluster: ['pages/worker', 'pages/workers', 'pages/queue', 'pages/queues'],
  records: ['pages/job', 'pages/jobs', 'pages/audit', 'pages/settings'],
  dialogs: ['shell/keyboardHelp', 'explorer/bulkActionDialog'],
};
/** Minimum characters of the sources of a shared file. */
const MIN_SHARED = 12_000;

/** Minifiers keep the line breaks in templates, a twentieth of what is served; htm drops them next to tags. */
const joinTemplateLines = {
  name: 'join-template-lines',
  transform(text, path) {
    if (!path.includes('/ui/js/')) return null;
    return { code: joined(ts.createSourceFile(path, text, ts.ScriptTarget.Latest)), map: null };
  },
};

/** @param {ts.SourceFile} file @returns {string} its text with the lines of html`…` joined */
function joined(file) {
  const pieces = [];
  let at = 0;
  const visit = (node, isHtml) => {
    if (isHtml && ts.isTemplateLiteralToken(node)) {
      const lines = node.getText(file).replace(/\n\s+/g, '\n');
      pieces.push(
        file.text.slice(at, node.getStart(file)),
        lines.replace(/>\n|\n(?=<|\$\{$)/g, (all) => all.trim()),
      );
      at = node.end;
    }
    const isTemplate = ts.isTaggedTemplateExpression(node)
      ? node.tag.getText(file) === 'html'
      : isHtml && (ts.isTemplateExpression(node) || ts.isTemplateSpan(node));
    ts.forEachChild(node, (child) => visit(child, isTemplate && child !== node.expression));
  };
  visit(file, false);
  return pieces.join('') + file.text.slice(at);
}

const STRINGS = resolve('js/strings.js');

/**
 * The modules that a module needs. Of `js/strings.js`, which exports all texts, only those that it uses.
 * @param {string} id
 * @param {(id: string) => import('rollup').ModuleInfo | null} info
 */
function findImports(id, info) {
  const imported = info(id)?.importedIds ?? [];
  if (id === STRINGS) return [];
  if (!imported.includes(STRINGS)) return imported;
  const used = new Set(
    [...(info(id)?.code ?? '').matchAll(/\bT\.(\w+)/g)].map((found) => found[1]),
  );
  const exported = (info(STRINGS)?.importedIds ?? []).filter((file) =>
    info(file)?.exports?.some((name) => used.has(name)),
  );
  return [...imported, ...exported];
}

/**
 * The file of each module of a page.
 * @param {(id: string) => import('rollup').ModuleInfo | null} info
 * @returns {Map<string, string>}
 */
function assignFiles(info) {
  const users = new Map();
  const visit = (id, user) => {
    const known = users.get(id) ?? new Set();
    if (known.has(user) || known.has('main')) return;
    users.set(id, user === 'main' ? new Set(['main']) : known.add(user));
    for (const each of findImports(id, info)) visit(each, user);
  };
  visit(resolve('js/main.js'), 'main');
  for (const [file, modules] of Object.entries(FILES))
    for (const name of modules) visit(resolve(`js/${name}.js`), file);
  const files = new Map([...users].map(([id, names]) => [id, [...names].sort().join('-')]));
  const sizes = new Map();
  for (const [id, file] of files)
    sizes.set(file, (sizes.get(file) ?? 0) + (info(id)?.code?.length ?? 0));
  for (const [id, file] of files)
    if (file.includes('-') && (sizes.get(file) ?? 0) < MIN_SHARED) files.set(id, 'main');
  return files;
}

const [folder, sources] = process.argv.slice(2);
const pages = (await readdir('js/pages')).map((name) => `pages/${name.replace('.js', '')}`);
const unassigned = pages.filter((page) => !Object.values(FILES).flat().includes(page));
if (unassigned.length) throw new Error(`Missing in FILES: ${unassigned.join(', ')}`);

let files;
const bundle = await rollup({ input: { 'js/main': 'js/main.js' }, plugins: [joinTemplateLines] });
const { output } = await bundle.generate({
  format: 'esm',
  onlyExplicitManualChunks: true,
  chunkFileNames: 'js/[name].js',
  manualChunks(id, { getModuleInfo }) {
    files ??= assignFiles(getModuleInfo);
    return files.get(id);
  },
});
for (const { fileName, code } of output) {
  const minified = await transform(code, {
    minify: true,
    format: 'esm',
    target: 'es2022',
    charset: 'utf8',
  });
  await mkdir(dirname(`${folder}/${fileName}`), { recursive: true });
  await writeFile(`${folder}/${fileName}`, minified.code);
}
// The file of each page, so that the server can name the files that its page needs.
const modules = Object.fromEntries(
  pages.map((page) => [`js/${page}.js`, `js/${files?.get(resolve(`js/${page}.js`))}.js`]),
);
await writeFile(`${folder}/bundle.json`, JSON.stringify({ sources, modules }));
