"""What libxml2 (through lxml) makes of documents and XPaths. Reads one JSON value from its input, writes one."""

import json
import math
import sys

from lxml import etree

PARSER = etree.XMLParser(resolve_entities=False, no_network=True, remove_blank_text=False, strip_cdata=True)


def place(found, numbers):
    """A name for a node that does not depend on who reads the document."""
    if isinstance(found, etree._Element):
        # What stands beside the root element has no number.
        return f"e{numbers[found]}" if found in numbers else None
    owner = numbers[found.getparent()]
    if found.is_attribute:
        return f"a{owner}:{found.attrname}"
    return f"l{owner}" if found.is_tail else f"t{owner}"


def evaluate(node, expression, namespaces, numbers):
    try:
        found = node.xpath(expression, namespaces=namespaces)
    except etree.XPathError as error:
        return {"error": str(error)}
    if isinstance(found, bool):
        return {"bool": found}
    if isinstance(found, float):
        return {"number": repr(found) if math.isfinite(found) else str(found)}
    if isinstance(found, list):
        return {"nodes": [name for name in (place(one, numbers) for one in found) if name]}
    return {"text": str(found)}


def judge(case):
    try:
        root = etree.fromstring(case["document"].encode(), PARSER)
    except etree.XMLSyntaxError as error:
        return {"error": str(error)}
    nodes = list(root.iter())
    numbers = {node: number for number, node in enumerate(nodes)}
    elements = [node for node in nodes if isinstance(node.tag, str)]
    results = []
    for ask in case["asked"]:
        node = elements[ask["at"] % len(elements)]
        results.append(evaluate(node, ask["path"], case["namespaces"], numbers))
    return {"results": results}


json.dump([judge(case) for case in json.load(sys.stdin)], sys.stdout)
