/**
 * What somebody meant to come back to: marks in comments, and words for it in what the program says.
 * Limits: words, so a placeholder that does not call itself one is for the other checks; documents are not read.
 */
import ts from "typescript"
import { type Finding, finding, isIn, nodesOf, type Source } from "./Source.ts"

const marks =
  /\b(TO ?DO|FIXME|XXX|HACK|TBD|WIP)\b|\b(not (yet )?implemented|unimplemented|placeholder (for|until|implementation|result|value)|fill (this|it) in|for now,|left out for now|stubbed|dummy)\b/
const words = /\b(not (yet )?implemented|unimplemented|coming soon|lorem ipsum|under construction|to be done)\b/i

const commentsOf = ({ tree }: Source): ReadonlyArray<ts.TextRange> => {
  const text = tree.text
  const found = new Map<number, ts.TextRange>()
  const visit = (node: ts.Node): void => {
    const ranges = [
      ...ts.getLeadingCommentRanges(text, node.getFullStart()) ?? [],
      ...ts.getTrailingCommentRanges(text, node.getEnd()) ?? []
    ]
    for (const range of ranges) found.set(range.pos, range)
    node.getChildren(tree).forEach(visit)
  }
  visit(tree)
  return [...found.values()].sort((a, b) => a.pos - b.pos)
}

const inComments = (source: Source): ReadonlyArray<Finding> =>
  commentsOf(source).flatMap(({ end, pos }) => {
    const [mark] = marks.exec(source.tree.text.slice(pos, end)) ?? []
    return mark === undefined ? [] : [finding("placeholder", source, pos, `a comment says "${mark}"`)]
  })

const isText = (node: ts.Node): node is ts.LiteralLikeNode =>
  ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node) ||
  ts.isJsxText(node)

const inWords = (source: Source): ReadonlyArray<Finding> =>
  nodesOf(source.tree).filter(isText).flatMap((node) => {
    const [said] = words.exec(node.text) ?? []
    return said === undefined ? [] : [finding("placeholder", source, node, `the program says "${said}"`)]
  })

/** This folder names what it looks for. */
const isScan = isIn("test/proof/scan")

export const placeholders = (sources: ReadonlyArray<Source>): ReadonlyArray<Finding> => [
  ...sources.filter((source) => !isScan(source)).flatMap(inComments),
  ...sources.filter(isIn("src")).flatMap(inWords)
]
