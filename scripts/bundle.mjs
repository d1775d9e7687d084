// bundle.mjs FOLDER: the page scripts, joined and minified into FOLDER. `scripts/bundle` calls it.
import { readFile } from 'node:fs/promises';
import { build } from 'esbuild';
import ts from 'typescript';

/** esbuild keeps the line breaks in templates, a twentieth of what is served; htm drops them next to tags. */
const joinTemplateLines = {
  name: 'join-template-lines',
  setup({ onLoad }) {
    onLoad({ filter: /\/ui\/js\/.*\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      return { contents: joined(ts.createSourceFile(path, text, ts.ScriptTarget.Latest)) };
    });
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

await build({
  entryPoints: ['js/main.js', 'js/pages/*.js'],
  bundle: true,
  splitting: true,
  format: 'esm',
  minify: true,
  target: 'es2022',
  charset: 'utf8',
  outbase: '.',
  outdir: process.argv[2],
  chunkNames: 'js/parts/[name]-[hash]',
  logLevel: 'warning',
  plugins: [joinTemplateLines],
});
